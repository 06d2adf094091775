use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use crucible_transformer::{embedding_initializer, linear, project};

/// Added to squared lengths, so that the gradient of a state of zeros is finite.
const EPSILON: f64 = 1e-12;

/// What the logit of an item with itself becomes: its probability among cosines is zero.
const HIDDEN: f64 = -1e4;

/// Configuration of a [`PrototypicalVerbalizer`].
#[derive(Config, Debug)]
pub struct PrototypicalVerbalizerConfig {
    /// Classes.
    pub classes: usize,
    /// Width of the state at the mask.
    pub d_model: usize,
    /// Width of the space in which items and classes are compared.
    #[config(default = 128)]
    pub d_projection: usize,
}

/// Classes as prototypes in a learned space, to which items are compared (ProtoVerb, Cui et al. 2022, section 3).
#[derive(Module, Debug)]
pub struct PrototypicalVerbalizer {
    /// `d_model` to `d_projection`.
    pub projection: Linear,
    /// `[classes, d_projection]`.
    pub prototypes: Param<Tensor<2>>,
}

impl PrototypicalVerbalizerConfig {
    /// A verbalizer with fresh weights.
    pub fn init(&self, device: &Device) -> PrototypicalVerbalizer {
        PrototypicalVerbalizer {
            projection: linear(self.d_model, self.d_projection, device),
            prototypes: embedding_initializer().init([self.classes, self.d_projection], device),
        }
    }
}

impl PrototypicalVerbalizer {
    /// Cosines of items and prototypes, which serve as logits.
    ///
    /// # Shapes
    /// - `states`: `[items, d_model]`, at the mask
    /// - output: `[items, classes]`
    pub fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        self.logits(self.embed(states))
    }

    /// The sum of two InfoNCE losses (equations 4 and 5): each item tells another of its class from all others, and the
    /// prototype of its class from the other prototypes. An item is not compared with itself, which the paper does and
    /// which teaches nothing; without two items of one class the first loss is zero.
    ///
    /// # Shapes
    /// - `states`: `[items, d_model]`; `labels`: `[items]`, places of classes
    /// - output: `[1]`
    pub fn loss(&self, states: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let items = self.embed(states);
        between_items(items.clone(), labels.clone()) + self.to_prototypes(items, labels)
    }

    /// Mean over items of `-log p(prototype of its class)`.
    fn to_prototypes(&self, items: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let scores = log_softmax(self.logits(items), 1);
        -scores.gather(1, labels.unsqueeze_dim(1)).mean()
    }

    /// `[items, d_model]` to directions, `[items, d_projection]`.
    fn embed(&self, states: Tensor<2>) -> Tensor<2> {
        unit(project(&self.projection, states))
    }

    fn logits(&self, items: Tensor<2>) -> Tensor<2> {
        items.matmul(unit(self.prototypes.val()).transpose())
    }
}

/// Mean over ordered pairs of items of one class of `-log p(second | first)`.
fn between_items(items: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [count, _] = items.dims();
    let own = Tensor::<2>::eye(count, &items.device());
    let scores = items.clone().matmul(items.transpose()) + own.clone() * HIDDEN;
    let columns = labels.clone().unsqueeze_dim::<2>(1).expand([count, count]);
    let rows = labels.unsqueeze_dim::<2>(0).expand([count, count]);
    let pairs = columns.equal(rows).float() - own;
    let total = pairs.clone().sum().clamp_min(1.0);
    -(log_softmax(scores, 1) * pairs).sum() / total
}

/// Rows scaled to length one.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let length = (x.clone() * x.clone()).sum_dim(1) + EPSILON;
    x / length.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{close, tensor};

    /// The projection is the identity.
    fn verbalizer(device: &Device) -> PrototypicalVerbalizer {
        let mut verbalizer = PrototypicalVerbalizerConfig::new(2, 2)
            .with_d_projection(2)
            .init(device);
        verbalizer.projection.weight = Param::from_tensor(Tensor::eye(2, device));
        verbalizer.prototypes = Param::from_data([[2.0, 0.0], [0.0, 0.5]], device);
        verbalizer
    }

    #[test]
    fn items_are_compared_by_direction() {
        let device = Device::flex();
        let cosines = verbalizer(&device).forward(tensor([[3.0, 4.0], [-7.0, 0.0]], &device));
        close(cosines, [[0.6, 0.8], [-1.0, 0.0]]);
    }

    #[test]
    fn losses_are_those_of_the_paper_without_an_item_itself() {
        let device = Device::flex();
        let states = tensor([[3.0, 0.0], [0.6, 0.8], [0.0, 1.0]], &device);
        let labels = Tensor::<1, Int>::from_data([0, 0, 1], &device);
        let loss = verbalizer(&device)
            .loss(states, labels)
            .into_scalar::<f32>();
        // Cosines of items: 0.6, 0 and 0.8. The pairs are (0, 1) and (1, 0).
        let pair = |own: f32, other: f32| -(own.exp() / (own.exp() + other.exp())).ln();
        let items = (pair(0.6, 0.0) + pair(0.6, 0.8)) / 2.0;
        let prototypes = (pair(1.0, 0.0) + pair(0.6, 0.8) + pair(1.0, 0.0)) / 3.0;
        assert!((loss - items - prototypes).abs() < 1e-5, "{loss}");
    }

    #[test]
    fn one_item_and_a_state_of_zeros_have_finite_gradients() {
        let device = Device::flex().autodiff();
        let verbalizer = verbalizer(&device);
        let labels = Tensor::<1, Int>::from_data([1], &device);
        let loss = verbalizer.loss(Tensor::zeros([1, 2], &device), labels);
        let gradients = loss.backward();
        let gradient = verbalizer.projection.weight.grad(&gradients).unwrap();
        assert!(gradient.into_data().iter::<f32>().all(f32::is_finite));
    }

    #[test]
    fn descent_parts_the_classes() {
        let device = Device::flex().autodiff();
        let mut verbalizer = verbalizer(&device);
        verbalizer.prototypes = Param::from_data([[0.1, 0.2], [0.2, 0.1]], &device);
        let states = tensor([[1.0, 0.2], [1.0, 0.1], [0.1, 1.0], [0.3, 1.0]], &device);
        let labels = Tensor::<1, Int>::from_data([0, 0, 1, 1], &device);
        let first = verbalizer.loss(states.clone(), labels.clone());
        for _ in 0..50 {
            let gradients = verbalizer.loss(states.clone(), labels.clone()).backward();
            let gradient = verbalizer.prototypes.grad(&gradients).unwrap();
            let moved = verbalizer.prototypes.val().inner() - gradient * 0.05;
            verbalizer.prototypes = Param::from_data(moved.into_data(), &device);
        }
        let last = verbalizer.loss(states.clone(), labels);
        assert!(last.into_scalar::<f32>() < first.into_scalar::<f32>());
        let predicted = verbalizer.forward(states).argmax(1).into_data();
        assert!(predicted.iter::<i64>().eq([0, 0, 1, 1]));
    }
}

//! The backward passes as steps of Burn's tape, for every backend that has them.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};

use crate::Activation;
use crate::dropout::Dropout;
use crate::fused::{Bools, Floats, Fused, Norm, Passes, Scores};

/// Declares a step of the tape: what it keeps, and the gradients of its inputs from that and the gradient of
/// its output. `wanted` says which of the inputs want one.
macro_rules! step {
    ($name:ident, $inputs:literal, $kept:ty, |$state:pat_param, $grad:ident, $wanted:ident| $gradients:expr) => {
        #[derive(Debug)]
        struct $name;

        impl<B: Passes> Backward<B, $inputs> for $name {
            type State = $kept;

            fn backward(
                self,
                ops: Ops<Self::State, $inputs>,
                gradients: &mut Gradients,
                _: &mut Checkpointer,
            ) {
                let $grad = gradients.consume::<B>(&ops.node);
                let $wanted = ops.parents.each_ref().map(Option::is_some);
                let $state = ops.state;
                let found: [Option<FloatTensor<B>>; $inputs] = $gradients;
                for (node, grad) in ops.parents.into_iter().zip(found) {
                    if let (Some(node), Some(grad)) = (node, grad) {
                        gradients.register::<B>(node.id, grad);
                    }
                }
            }
        }
    };
}

step!(
    Activate,
    1,
    (FloatTensor<B>, Activation),
    |(x, activation), grad, _wanted| [Some(B::activate_backward(x, grad, activation))]
);

step!(Softmax, 1, FloatTensor<B>, |output, grad, _wanted| [Some(
    B::softmax_backward(output, grad)
)]);

step!(
    CrossEntropy,
    1,
    (FloatTensor<B>, IntTensor<B>, FloatTensor<B>, f32),
    |(logits, targets, kept, smoothing), grad, _wanted| [Some(B::cross_entropy_backward(
        logits, targets, kept, grad, smoothing
    ))]
);

/// Input, weight, what the activation needs.
type LinearState<B> = (
    FloatTensor<B>,
    FloatTensor<B>,
    Option<FloatTensor<B>>,
    Option<Activation>,
);

step!(
    LinearWithBias,
    3,
    LinearState<B>,
    |(x, weight, kept, activation), grad, wanted| B::linear_backward(
        x, weight, kept, grad, activation, wanted
    )
);

step!(
    Linear,
    2,
    LinearState<B>,
    |(x, weight, kept, activation), grad, wanted| {
        let wanted = [wanted[0], wanted[1], false];
        let [x, weight, _] = B::linear_backward(x, weight, kept, grad, activation, wanted);
        [x, weight]
    }
);

/// Input, weights, what the activation needs.
type FeedForwardState<B> = (
    FloatTensor<B>,
    [FloatTensor<B>; 2],
    Option<FloatTensor<B>>,
    Activation,
    Dropout,
);

step!(
    FeedForward,
    5,
    FeedForwardState<B>,
    |(x, weights, kept, activation, dropout), grad, wanted| B::feed_forward_backward(
        x, weights, kept, grad, activation, dropout, wanted
    )
);

step!(
    NormalizeAndShift,
    3,
    (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Norm),
    |(x, gamma, kept, norm), grad, _wanted| B::normalize_backward(x, gamma, kept, grad, norm)
        .map(Some)
);

step!(
    Normalize,
    2,
    (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Norm),
    |(x, gamma, kept, norm), grad, _wanted| {
        let [x, gamma, _] = B::normalize_backward(x, gamma, kept, grad, norm);
        [Some(x), Some(gamma)]
    }
);

/// Query, key and value; mask; output; what the forward pass kept.
type AttentionState<B> = (
    [FloatTensor<B>; 3],
    Option<BoolTensor<B>>,
    FloatTensor<B>,
    FloatTensor<B>,
    Scores,
);

step!(
    Attention,
    3,
    AttentionState<B>,
    |(inputs, hidden, output, kept, scores), grad, _wanted| B::attention_backward(
        inputs, hidden, output, kept, grad, scores
    )
    .map(Some)
);

impl<B: Passes, C: CheckpointStrategy> Fused for Autodiff<B, C> {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Activate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let output = B::activate_forward(x.clone(), activation);
                prep.finish((x, activation), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::activate_forward(x, activation)),
        }
    }

    fn linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Floats<Self>,
        activation: Option<Activation>,
    ) -> FloatTensor<Self> {
        let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
        macro_rules! forward {
            ($prep:expr, $bias:expr) => {
                match $prep.compute_bound().stateful() {
                    OpsKind::Tracked(prep) => {
                        let (output, kept) =
                            B::linear_forward(x.clone(), weight.clone(), $bias, activation, true);
                        prep.finish((x, weight, kept, activation), output)
                    }
                    OpsKind::UnTracked(prep) => {
                        prep.finish(B::linear_forward(x, weight, $bias, activation, false).0)
                    }
                }
            };
        }
        match bias.get() {
            Some(bias) => {
                let (bias, of_bias) = bias.into_parts();
                forward!(
                    LinearWithBias.prepare::<C>([of_x, of_weight, of_bias]),
                    Some(bias)
                )
            }
            None => forward!(Linear.prepare::<C>([of_x, of_weight]), None),
        }
    }

    fn feed_forward(
        x: FloatTensor<Self>,
        inner: FloatTensor<Self>,
        inner_bias: FloatTensor<Self>,
        outer: FloatTensor<Self>,
        outer_bias: FloatTensor<Self>,
        activation: Activation,
        dropout: Dropout,
    ) -> FloatTensor<Self> {
        let [
            (x, of_x),
            (inner, of_inner),
            (inner_bias, of_inner_bias),
            (outer, of_outer),
            (outer_bias, of_outer_bias),
        ] = [x, inner, inner_bias, outer, outer_bias].map(FloatTensor::<Self>::into_parts);
        let (weights, biases) = ([inner, outer], [inner_bias, outer_bias]);
        let nodes = [of_x, of_inner, of_inner_bias, of_outer, of_outer_bias];
        let forward = |x, weights, keep| {
            B::feed_forward_forward(x, weights, biases, activation, dropout, keep)
        };
        match FeedForward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (output, kept) = forward(x.clone(), weights.clone(), true);
                prep.finish((x, weights, kept, activation, dropout), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(forward(x, weights, false).0),
        }
    }

    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: Floats<Self>,
        norm: Norm,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let ((x, of_x), (gamma, of_gamma)) = (x.into_parts(), gamma.into_parts());
        macro_rules! forward {
            ($prep:expr, $beta:expr) => {{
                let (output, kept) =
                    B::normalize_forward(x.clone(), gamma.clone(), $beta, norm, epsilon);
                match $prep.compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish((x, gamma, kept, norm), output),
                    OpsKind::UnTracked(prep) => prep.finish(output),
                }
            }};
        }
        match beta.get() {
            Some(beta) => {
                let (beta, of_beta) = beta.into_parts();
                forward!(
                    NormalizeAndShift.prepare::<C>([of_x, of_gamma, of_beta]),
                    Some(beta)
                )
            }
            None => forward!(Normalize.prepare::<C>([of_x, of_gamma]), None),
        }
    }

    fn softmax(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let output = B::softmax_forward(x);
        match Softmax.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(output.clone(), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn cross_entropy(
        logits: FloatTensor<Self>,
        targets: IntTensor<Self>,
        smoothing: f32,
    ) -> FloatTensor<Self> {
        let (logits, node) = logits.into_parts();
        let (output, kept) = B::cross_entropy_forward(logits.clone(), targets.clone(), smoothing);
        match CrossEntropy.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((logits, targets, kept, smoothing), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        hidden: Bools<Self>,
        scores: Scores,
    ) -> FloatTensor<Self> {
        let hidden = hidden.get();
        let ((query, of_query), (key, of_key)) = (query.into_parts(), key.into_parts());
        let (value, of_value) = value.into_parts();
        let inputs = [query, key, value];
        let (output, kept) = B::attention_forward(inputs.clone(), hidden.clone(), scores);
        let prep = Attention.prepare::<C>([of_query, of_key, of_value]);
        match prep.compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((inputs, hidden, output.clone(), kept, scores), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}

//! The operations, each at the sizes it has in BERT-base or ViT-Ti/16.

use burn::tensor::{Device, Distribution, Int, Tensor};
use crucible_kernels::{
    Activation, AdamW, Attention, Layer, activate, adamw, attention, composed, cross_entropy,
    feed_forward, layer_norm, linear, rms_norm, softmax,
};

/// One operation on inputs of one size.
pub struct Case {
    pub name: &'static str,
    pub shape: &'static str,
    /// Multiplications and additions, forward and backward.
    pub flops: f64,
    /// Of inputs and results, forward and backward.
    pub bytes: f64,
    /// Runs it fused, or composed.
    pub run: Box<dyn Fn(bool) + Send + Sync>,
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let device = Device::flex().autodiff();
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device)
}

fn leaf<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    random(shape).require_grad()
}

/// An operation between tensors of `elements`, each of which is passed over so many times.
fn passes(
    name: &'static str,
    shape: &'static str,
    elements: usize,
    passes: usize,
    run: impl Fn(bool) + Send + Sync + 'static,
) -> Case {
    let bytes = (passes * elements * size_of::<f32>()) as f64;
    Case {
        name,
        shape,
        flops: 0.0,
        bytes,
        run: Box::new(run),
    }
}

/// Rows times a weight.
fn product(
    [rows, inner, outer]: [usize; 3],
    shape: &'static str,
    activation: Option<Activation>,
) -> Case {
    let (x, weight, bias) = (leaf([rows, inner]), leaf([inner, outer]), leaf([outer]));
    let elements = 3 * (rows * inner + rows * outer + inner * outer);
    let run = move |fused| {
        let f = if fused { linear } else { composed::linear };
        let output = f(x.clone(), weight.clone(), Some(bias.clone()), activation);
        output.sum().backward();
    };
    Case {
        flops: (3 * 2 * rows * inner * outer) as f64,
        ..passes(
            if activation.is_some() {
                "linear, gelu"
            } else {
                "linear"
            },
            shape,
            elements,
            1,
            run,
        )
    }
}

fn position_wise([rows, inner, hidden]: [usize; 3], shape: &'static str) -> Case {
    let x = leaf([rows, inner]);
    let layer = |[input, output]: [usize; 2]| Layer {
        weight: leaf([input, output]),
        bias: Some(leaf([output])),
    };
    let layers = [layer([inner, hidden]), layer([hidden, inner])];
    let elements = 3 * (2 * rows * inner + 2 * inner * hidden) + 2 * rows * hidden;
    let run = move |fused| {
        let f = if fused {
            feed_forward
        } else {
            composed::feed_forward
        };
        f(x.clone(), layers.clone(), Activation::Gelu, 0.0)
            .sum()
            .backward();
    };
    Case {
        flops: (3 * 4 * rows * inner * hidden) as f64,
        ..passes("feed_forward", shape, elements, 1, run)
    }
}

fn heads([batch, length, width, heads]: [usize; 4], shape: &'static str, causal: bool) -> Case {
    let inputs = [(); 3].map(|()| leaf([batch, length, width]));
    let run = move |fused| {
        let f = if fused {
            attention
        } else {
            composed::attention
        };
        let [query, key, value] = inputs.clone();
        f(
            query,
            key,
            value,
            Attention {
                causal,
                ..Attention::new(heads)
            },
        )
        .sum()
        .backward();
    };
    // Causal masks hide half of the scores.
    let scores = batch * length * length * width / if causal { 2 } else { 1 };
    let name = if causal {
        "attention, causal"
    } else {
        "attention"
    };
    Case {
        flops: (3 * 4 * scores) as f64,
        ..passes(name, shape, batch * length * width, 12, run)
    }
}

pub fn cases() -> Vec<Case> {
    // A token of BERT-base's eight sequences and of ViT-Ti/16's eight images.
    const WIDE: [usize; 2] = [1024, 768];
    const NARROW: [usize; 2] = [1576, 192];
    let gelu = Some(Activation::Gelu);
    let mut cases = vec![
        product([1024, 768, 768], "1024 x 768 x 768", None),
        product([1024, 768, 3072], "1024 x 768 x 3072", gelu),
        product([1576, 192, 192], "1576 x 192 x 192", None),
        product([1576, 192, 768], "1576 x 192 x 768", gelu),
        position_wise([1024, 768, 3072], "1024 x 768 x 3072"),
        position_wise([1576, 192, 768], "1576 x 192 x 768"),
        heads([8, 128, 768, 12], "8 x 12 heads, 128", false),
        heads([8, 197, 192, 3], "8 x 3 heads, 197", false),
        heads([1, 2048, 256, 4], "1 x 4 heads, 2048", false),
        heads([1, 2048, 256, 4], "1 x 4 heads, 2048", true),
    ];
    for (size, shape) in [(WIDE, "1024 x 768"), (NARROW, "1576 x 192")] {
        let elements = size[0] * size[1];
        let (x, gamma, beta) = (leaf(size), leaf([size[1]]), leaf([size[1]]));
        let norm = move |fused| {
            let f = if fused {
                layer_norm
            } else {
                composed::layer_norm
            };
            f(x.clone(), gamma.clone(), Some(beta.clone()), 1e-6)
                .sum()
                .backward();
        };
        cases.push(passes("layer_norm", shape, elements, 7, norm));
        let (x, gamma) = (leaf(size), leaf([size[1]]));
        let norm = move |fused| {
            let f = if fused { rms_norm } else { composed::rms_norm };
            f(x.clone(), gamma.clone(), 1e-6).sum().backward();
        };
        cases.push(passes("rms_norm", shape, elements, 7, norm));
    }
    let x = leaf([1024, 3072]);
    let gelu = move |fused| {
        let f = if fused { activate } else { composed::activate };
        f(x.clone(), Activation::Gelu).sum().backward();
    };
    cases.push(passes(
        "activate, gelu",
        "1024 x 3072",
        1024 * 3072,
        7,
        gelu,
    ));
    let x = leaf([1024, 1024]);
    let weights = move |fused| {
        let f = if fused { softmax } else { composed::softmax };
        f(x.clone()).sum().backward();
    };
    cases.push(passes("softmax", "1024 x 1024", 1024 * 1024, 7, weights));
    let (logits, device) = (leaf([147, 30_522]), Device::flex().autodiff());
    let targets = Tensor::<1, Int>::arange(0..147, &device);
    let loss = move |fused| {
        let f = if fused {
            cross_entropy
        } else {
            composed::cross_entropy
        };
        f(logits.clone(), targets.clone(), 0.0).backward();
    };
    cases.push(passes(
        "cross_entropy",
        "147 x 30522",
        147 * 30_522,
        3,
        loss,
    ));
    let [weight, grad] = [(); 2].map(|()| random([30_522, 768]).inner());
    let options = AdamW {
        learning_rate: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
    };
    let moments = std::sync::Mutex::new([None, None]);
    let update = move |fused| {
        let f = if fused { adamw } else { composed::adamw };
        let mut moments = moments.lock().expect("one thread");
        let kept = &mut moments[usize::from(fused)];
        // The gradient of a step is nobody else's.
        let (_, next) = f(options, weight.clone(), grad.clone() * 1.0, kept.take());
        *kept = Some(next);
    };
    // The copy that stands for a gradient is read and written.
    cases.push(passes("adamw", "30522 x 768", 30_522 * 768, 9, update));
    cases
}

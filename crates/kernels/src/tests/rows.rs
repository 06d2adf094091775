//! Operations on rows.

use super::*;
use crate::{
    AdamW, Layer, activate, adamw, cross_entropy, feed_forward, layer_norm, linear, rms_norm,
    softmax, squared_norm,
};

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Gelu),
        Just(Activation::GeluTanh),
        Just(Activation::Relu),
        Just(Activation::QuickGelu),
        Just(Activation::Silu)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn activations(
        shape in [0usize..5, 0usize..40, 0usize..40], layout in layout(), kind in activation(), seed in 0u64..1000,
    ) {
        let x = Input::new(shape, layout, seed);
        assert_same!(activate(x.view(), kind), composed::activate(x.view(), kind), [x]);
    }

    #[test]
    fn linear_layers(
        rows in [0usize..4, 1usize..300], inner in 1usize..40, width in 1usize..40, x_layout in layout(),
        weight_layout in layout(), kind in prop::option::of(activation()), bias in any::<bool>(), seed in 0u64..1000,
    ) {
        let x = Input::new([rows[0], rows[1], inner], x_layout, seed);
        let weight = Input::new([inner, width], weight_layout, seed + 1);
        let shift = Input::new([width], Layout::Contiguous, seed + 2);
        let found = || linear(x.view(), weight.view(), bias.then(|| shift.view()), kind);
        let expected = || {
            composed::linear(x.precise(), weight.precise(), bias.then(|| shift.precise()), kind)
        };
        if bias {
            assert_same!(found(), expected(), [x, weight, shift]);
        } else {
            assert_same!(found(), expected(), [x, weight]);
        }
    }

    #[test]
    fn feed_forwards(
        rows in [0usize..4, 1usize..300], widths in [1usize..40, 1usize..40, 1usize..40], layout in layout(),
        layouts in [layout(), layout()], kind in activation(), biased in any::<bool>(), seed in 0u64..1000,
    ) {
        let [inner, hidden, outer] = widths;
        let x = Input::new([rows[0], rows[1], inner], layout, seed);
        let first = Input::new([inner, hidden], layouts[0], seed + 1);
        let second = Input::new([hidden, outer], layouts[1], seed + 2);
        let [shift, last] = [(hidden, 3), (outer, 4)]
            .map(|(width, i)| Input::new([width], Layout::Contiguous, seed + i));
        let layers = |precision: DType| {
            let layer = |weight: &Input<2>, bias: &Input<1>| Layer {
                weight: weight.view().cast(precision),
                bias: biased.then(|| bias.view().cast(precision)),
            };
            [layer(&first, &shift), layer(&second, &last)]
        };
        let found = || feed_forward(x.view(), layers(DType::F32), kind, 0.0);
        let expected = || composed::feed_forward(x.precise(), layers(DType::F64), kind, 0.0);
        if biased {
            assert_same!(found(), expected(), [x, first, shift, second, last]);
        } else {
            assert_same!(found(), expected(), [x, first, second]);
        }
    }

    #[test]
    fn layer_norms(
        rows in 0usize..300, width in 1usize..70, layout in layout(), shifted in any::<bool>(), seed in 0u64..1000,
    ) {
        let x = Input::new([rows, width], layout, seed);
        let [gamma, beta] = [1, 2].map(|i| Input::new([width], Layout::Contiguous, seed + i));
        let run = |f: fn(Tensor<2>, Tensor<1>, Option<Tensor<1>>, f64) -> Tensor<2>| {
            f(x.view(), gamma.view(), shifted.then(|| beta.view()), 1e-3)
        };
        if shifted {
            assert_same!(run(layer_norm), run(composed::layer_norm), [x, gamma, beta]);
        } else {
            assert_same!(run(layer_norm), run(composed::layer_norm), [x, gamma]);
        }
    }

    #[test]
    fn rms_norms(rows in 0usize..300, width in 1usize..70, layout in layout(), seed in 0u64..1000) {
        let (x, gamma) = (Input::new([rows, width], layout, seed), Input::new([width], Layout::Contiguous, seed + 1));
        let found = || rms_norm(x.view(), gamma.view(), 1e-3);
        assert_same!(found(), composed::rms_norm(x.view(), gamma.view(), 1e-3), [x, gamma]);
    }

    #[test]
    fn softmaxes(shape in [0usize..5, 0usize..40, 1usize..40], layout in layout(), seed in 0u64..1000) {
        let x = Input::new(shape, layout, seed);
        assert_same!(softmax(x.view()), composed::softmax(x.view()), [x]);
    }

    #[test]
    fn cross_entropies(
        rows in 1usize..300, classes in 1usize..70, layout in layout(),
        smoothing in prop_oneof![Just(0.0), 0.0f32..0.9], seed in 0u64..1000,
    ) {
        let x = Input::new([rows, classes], layout, seed);
        let targets: Vec<i32> = (0..rows).map(|i| ((i * 7 + seed as usize) % classes) as i32).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [rows]), &device());
        let found = || cross_entropy(x.view(), targets.clone(), smoothing);
        let expected = || composed::cross_entropy(x.view(), targets.clone(), smoothing);
        assert_same!(found(), expected(), [x]);
    }
}

#[test]
fn activations_have_the_textbook_values_and_gradients() {
    for activate in [activate, composed::activate] {
        let x = Tensor::<1>::from_floats([-1.0, 0.0, 2.0], &device()).require_grad();
        for (activation, expected, gradient) in [
            (
                Activation::Gelu,
                [-0.158_655_25, 0.0, 1.954_499_7],
                // Phi(x) + x phi(x)
                [-0.083_315_47, 0.5, 1.085_231_8],
            ),
            (
                Activation::GeluTanh,
                [-0.158_808, 0.0, 1.954_597_7],
                [-0.082_964_08, 0.5, 1.086_099_3],
            ),
            (Activation::Relu, [0.0, 0.0, 2.0], [0.0, 0.0, 1.0]),
            (
                Activation::QuickGelu,
                [-0.154_204_16, 0.0, 1.935_659_4],
                [-0.067_779_61, 0.5, 1.073_815_4],
            ),
            (
                Activation::Silu,
                [-0.268_941_4, 0.0, 1.761_594_2],
                [0.072_329_49, 0.5, 1.090_784_2],
            ),
        ] {
            let output = activate(x.clone(), activation);
            let expected = Tensor::<1>::from_floats(expected, &device());
            assert!(
                difference(output.clone(), expected) < 1e-6,
                "{activation:?}"
            );
            let found = x.grad(&output.sum().backward()).unwrap();
            let gradient = Tensor::from_floats(gradient, &device().inner());
            assert!(difference(found, gradient) < 1e-6, "{activation:?}");
        }
    }
}

/// Few rows, for which a large weight is read in several blocks, many columns, and the transposed weight of tied
/// embeddings.
#[test]
fn linear_layers_with_wide_and_transposed_weights() -> Result<(), TestCaseError> {
    for (rows, inner, width) in [
        (1, 303, 903),
        (3, 303, 900),
        (8, 303, 903),
        (9, 303, 903),
        (130, 40, 900),
        (1000, 40, 900),
    ] {
        for turned in [false, true] {
            let x = Input::new([rows, inner], Layout::Contiguous, 1);
            let layout = if turned {
                Layout::Swapped
            } else {
                Layout::Contiguous
            };
            let weight = Input::new([inner, width], layout, 2);
            let bias = Input::new([width], Layout::Contiguous, 3);
            let run = |f: fn(
                Tensor<2>,
                Tensor<2>,
                Option<Tensor<1>>,
                Option<Activation>,
            ) -> Tensor<2>| {
                f(
                    x.view(),
                    weight.view(),
                    Some(bias.view()),
                    Some(Activation::Gelu),
                )
            };
            assert_same!(run(linear), run(composed::linear), [x, weight, bias]);
        }
    }
    Ok(())
}

/// Burn's own reshape, and with it the composed form, does not.
#[test]
fn linear_layers_take_empty_rows_weights_and_outputs() {
    if implementation(&device()) == Implementation::Composed {
        return;
    }
    for shape in [[2, 0, 3], [2, 3, 0], [0, 0, 0]] {
        for width in [0, 4] {
            let x = values(shape, 1).require_grad();
            let weight = values([shape[2], width], 2).require_grad();
            let bias = values([width], 3).require_grad();
            let output = linear(x.clone(), weight.clone(), Some(bias.clone()), None);
            assert_eq!(output.dims(), [shape[0], shape[1], width]);
            let rows = (shape[0] * shape[1]) as f32;
            if shape[2] == 0 && output.shape().num_elements() > 0 {
                let expected = bias.clone().unsqueeze::<3>().expand(output.dims());
                assert_eq!(difference(output.clone(), expected), 0.0);
            }
            let gradients = output.sum().backward();
            assert_eq!(x.grad(&gradients).unwrap().dims(), shape);
            assert_eq!(
                difference(weight.grad(&gradients).unwrap(), weight.inner() * 0.0),
                0.0
            );
            let expected = bias.clone().inner() * 0.0 + rows;
            assert_eq!(difference(bias.grad(&gradients).unwrap(), expected), 0.0);
        }
    }
}

#[test]
fn a_loss_without_rows_is_no_number() {
    let targets = Tensor::<1, Int>::empty([0], &device());
    let loss = cross_entropy(values([0, 3], 1), targets, 0.1);
    assert!(loss.into_scalar::<f32>().is_nan());
}

#[test]
fn squared_norms() {
    // Burn adds a large tensor up in single precision.
    let tolerance = match implementation(&device()) {
        Implementation::Fused => 1e-6,
        Implementation::Composed => 1e-4,
    };
    for (shape, seed) in [([0, 3], 1), ([1, 1], 2), ([300, 700], 3)] {
        let x = Input::new(shape, Layout::Narrowed, seed).view().inner();
        let found = f64::from(squared_norm(x.clone()).into_scalar::<f32>());
        let expected: f64 = x.into_data().iter::<f64>().map(|x| x * x).sum();
        let off = (found - expected).abs();
        assert!(off <= tolerance * expected, "{found} for {expected}");
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let x = Tensor::<2>::from_data([[f32::NAN, 1.0], [f32::INFINITY, 1.0]], &device());
    let ones = Tensor::<1>::ones([2], &device());
    let outputs = [
        activate(x.clone(), Activation::Gelu),
        activate(x.clone(), Activation::GeluTanh),
        activate(x.clone(), Activation::Relu),
        activate(x.clone(), Activation::QuickGelu),
        activate(x.clone(), Activation::Silu),
        layer_norm(x.clone(), ones.clone(), None, 1e-5),
        rms_norm(x.clone(), ones, 1e-5),
        softmax(x.clone()),
        linear(x.clone(), Tensor::ones([2, 2], &device()), None, None),
    ];
    for (number, output) in outputs.into_iter().enumerate() {
        let values: Vec<f32> = output.into_data().iter().collect();
        assert!(values[0].is_nan(), "{number}: {values:?}");
        assert!(!values[2].is_finite(), "{number}: {values:?}");
    }
}

#[test]
#[should_panic]
fn a_target_beyond_the_classes_is_an_error() {
    let targets = Tensor::<1, Int>::from_data([0, 3], &device());
    cross_entropy(values([2, 3], 1), targets, 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn steps_of_adamw(
        shape in [1usize..50, 1usize..50], layouts in [layout(), layout()], shared in any::<bool>(),
        weight_decay in 0.0f32..0.5, seed in 0u64..1000,
    ) {
        let options = AdamW { learning_rate: 0.1, beta_1: 0.9, beta_2: 0.99, epsilon: 1e-6, weight_decay };
        let input = |layout, seed| Input::new(shape, layout, seed).view().inner();
        let tensor = input(layouts[0], seed);
        let (mut found, mut expected) = ((tensor.clone(), None), (tensor.clone(), None));
        for step in 1..4 {
            let grad = input(layouts[1], seed + step);
            // What somebody else holds is not written to.
            let held = shared.then(|| (found.clone(), grad.clone()));
            let before = held.clone().map(|((tensor, _), grad)| (tensor.into_data(), grad.into_data()));
            let (tensor, moments) = adamw(options, found.0, grad.clone(), found.1);
            found = (tensor, Some(moments));
            let (tensor, moments) = composed::adamw(options, expected.0, grad, expected.1);
            expected = (tensor, Some(moments));
            let after = held.map(|((tensor, _), grad)| (tensor.into_data(), grad.into_data()));
            prop_assert_eq!(before, after);
            let off = difference(found.0.clone(), expected.0.clone());
            prop_assert!(off <= TOLERANCE, "step {} is off by {}", step, off);
            let [a, b] = [&found, &expected].map(|(_, moments)| moments.clone().unwrap());
            prop_assert_eq!((a.steps, b.steps), (step as usize, step as usize));
            for (a, b) in [(a.first, b.first), (a.second, b.second)] {
                prop_assert!(difference(a, b) <= TOLERANCE);
            }
        }
        prop_assert_eq!(tensor.into_data(), input(layouts[0], seed).into_data());
    }
}

/// With a unit matrix as second layer the output is the dropped hidden units themselves, from which the mask is
/// read; the composed operation with that mask is the expectation.
#[test]
fn dropout_of_hidden_units_is_the_same_on_the_way_back() -> Result<(), TestCaseError> {
    use crate::dropout::Dropout;
    use crate::fused::Fused;
    use burn::backend::Dispatch;
    const WIDTH: usize = 90;
    let shape = [3, 70, WIDTH];
    let x = Input::new(shape, Layout::Contiguous, 1);
    let [inner, outer] = [2, 3].map(|seed| Input::new([WIDTH; 2], Layout::Contiguous, seed));
    let [shift, last] = [4, 5].map(|seed| Input::new([WIDTH], Layout::Contiguous, seed));
    for activation in [
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::QuickGelu,
        Activation::Silu,
    ] {
        let run = |outer: Tensor<2>, last: Tensor<1>, seed| {
            let [inner, outer] = [inner.view(), outer].map(Tensor::into_dispatch);
            let [shift, last] = [shift.view(), last].map(Tensor::into_dispatch);
            let (x, dropout) = (x.view().into_dispatch(), Dropout { chance: 0.3, seed });
            let output = Dispatch::feed_forward(x, inner, shift, outer, last, activation, dropout);
            Tensor::<3>::from_dispatch(output)
        };
        let hidden =
            || composed::linear(x.view(), inner.view(), Some(shift.view()), Some(activation));
        let unit = Tensor::eye(WIDTH, &device());
        let dropped = |seed| {
            let dropped = run(unit.clone(), Tensor::zeros([WIDTH], &device()), seed);
            dropped
                .inner()
                .equal_elem(0.0)
                .bool_and(hidden().inner().not_equal_elem(0.0))
        };
        let mask = Tensor::from_inner(dropped(5));
        let kept = || hidden().mask_fill(mask.clone(), 0.0) / 0.7;
        let expected = || composed::linear(kept(), outer.view(), Some(last.view()), None);
        let found = || run(outer.view(), last.view(), 5);
        assert_same!(found(), expected(), [x, inner, shift, outer, last]);

        let share = |mask: Tensor<3, Bool>| mask.float().mean().into_scalar::<f32>();
        let active = share(hidden().inner().not_equal_elem(0.0));
        // Standard deviation: below 0.005.
        assert!((share(dropped(5)) / active - 0.3).abs() < 0.02);
        let both = share(dropped(5).bool_and(dropped(6))) / active;
        assert!(
            (both - 0.09).abs() < 0.02,
            "another seed drops others: {both}"
        );
    }
    Ok(())
}

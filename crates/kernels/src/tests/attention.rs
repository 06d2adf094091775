use super::*;
use crate::attention;

/// A mask of the given shape in which about a quarter of the keys are hidden, among them all of the first row.
fn mask(shape: [usize; 4], seed: u64) -> Tensor<4, Bool> {
    let hidden = values(shape, seed).inner().lower_elem(-1.0);
    hidden.slice_fill([0..1, 0..1, 0..1, 0..shape[3]], true)
}

/// Some fit in one tile, some take several.
fn length(from: usize) -> impl Strategy<Value = usize> {
    prop_oneof![7 => from..150, 1 => 500usize..1100]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn attention_is_the_composed_one(
        batch in 0usize..4, heads in 1usize..4, head in 1usize..20, lengths in [length(0), length(1)],
        layouts in [layout(), layout(), layout()], masked in prop::option::of([any::<bool>(), any::<bool>()]),
        causal in any::<bool>(), seed in 0u64..1000,
    ) {
        let [queries, keys] = lengths;
        let width = heads * head;
        let query = Input::new([batch, queries, width], layouts[0], seed);
        let key = Input::new([batch, keys, width], layouts[1], seed + 1);
        let value = Input::new([batch, keys, width], layouts[2], seed + 2);
        // Burn spreads nothing over empty axes.
        let masked = masked.filter(|_| batch * queries > 0);
        let causal = causal && batch * queries > 0;
        let hidden = masked.map(|[each_sample, each_query]| {
            let one_or = |each, length| if each { length } else { 1 };
            mask([one_or(each_sample, batch), 1, one_or(each_query, queries), keys], seed + 3)
        });
        let options = Attention { hidden, causal, ..Attention::new(heads) };
        let run = |f: fn(Tensor<3>, Tensor<3>, Tensor<3>, Attention) -> Tensor<3>| {
            f(query.view(), key.view(), value.view(), options.clone())
        };
        assert_same!(run(attention), run(composed::attention), [query, key, value]);
    }
}

/// One head with dropout, its seed given.
fn with_dropout(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, seed: u64) -> Tensor<3> {
    use crate::dropout::Dropout;
    use crate::fused::{Bools, Fused, Scores};
    let scores = Scores {
        heads: 1,
        causal: true,
        dropout: Dropout { chance: 0.3, seed },
    };
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    let output = burn::backend::Dispatch::attention(query, key, value, Bools::None, scores);
    Tensor::from_dispatch(output)
}

/// With the unit matrix as values the output is the weights themselves, from which the mask is read; the
/// composed attention with that mask is the expectation.
#[test]
fn dropout_drops_the_same_weights_on_the_way_back() -> Result<(), TestCaseError> {
    const LENGTH: usize = 90;
    let shape = [2, LENGTH, LENGTH];
    let [query, key, value] = [1, 2, 3].map(|seed| Input::new(shape, Layout::Contiguous, seed));
    let unit = Tensor::<2>::eye(LENGTH, &device())
        .unsqueeze::<3>()
        .expand(shape);
    let kept = |seed| {
        with_dropout(query.view(), key.view(), unit.clone(), seed)
            .inner()
            .greater_elem(0.0)
    };
    let weights = || {
        let scores = query.view().matmul(key.view().swap_dims(1, 2)) * (LENGTH as f64).powf(-0.5);
        let future = Tensor::<2, Bool>::tril_mask([LENGTH, LENGTH], 0, &device());
        let scores = scores.mask_fill(future.unsqueeze::<3>().expand(shape), -1e4);
        burn::tensor::activation::softmax(scores, 2)
    };
    let expected = (weights() * (kept(5).float() / 0.7)).matmul(value.view());
    let found = with_dropout(query.view(), key.view(), value.view(), 5);
    assert_same!(found, expected, [query, key, value]);

    let share = |mask: Tensor<3, Bool>| {
        let visible = (2 * LENGTH * (LENGTH + 1) / 2) as f32;
        mask.float().sum().into_scalar::<f32>() / visible
    };
    // Standard deviation: 0.005.
    assert!((share(kept(5)) - 0.7).abs() < 0.02, "{}", share(kept(5)));
    let both = share(kept(5).bool_and(kept(6)));
    assert!(
        (both - 0.49).abs() < 0.02,
        "another seed drops others: {both}"
    );
    let samples = [0, 1].map(|sample| kept(5).narrow(0, sample, 1));
    let [first, second] = samples;
    let both = 2.0 * first.bool_and(second).float().sum().into_scalar::<f32>();
    let both = both / (2 * LENGTH * (LENGTH + 1) / 2) as f32;
    assert!(
        (both - 0.49).abs() < 0.03,
        "another sample drops others: {both}"
    );
    Ok(())
}

/// The public way draws a seed of its own each time, and only then.
#[test]
fn dropout_follows_the_generator_of_the_device() {
    let [query, key, value] = [1, 2, 3].map(|seed| values([2, 9, 8], seed));
    let run = |dropout| {
        let options = Attention {
            dropout,
            ..Attention::new(2)
        };
        attention(query.clone(), key.clone(), value.clone(), options)
    };
    assert!(difference(run(0.5), run(0.5)) > 1e-2);
    assert_eq!(difference(run(0.0), run(0.0)), 0.0);
}

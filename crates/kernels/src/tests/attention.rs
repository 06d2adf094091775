use super::*;
use crate::attention;

/// How a mask lies in memory.
#[derive(Clone, Copy, Debug)]
enum MaskLayout {
    Contiguous,
    /// A part of a larger one.
    Narrowed,
    /// One row for all queries and samples.
    Expanded,
}

fn mask_layout() -> impl Strategy<Value = MaskLayout> {
    prop_oneof![
        Just(MaskLayout::Contiguous),
        Just(MaskLayout::Narrowed),
        Just(MaskLayout::Expanded)
    ]
}

/// A mask of the given shape in which about a quarter of the keys are hidden; unless all rows are the same, among
/// them all of the first.
fn mask(shape: [usize; 4], layout: MaskLayout, seed: u64) -> Tensor<4, Bool> {
    let hidden = |shape| values::<4>(shape, seed).inner().lower_elem(-1.0);
    let [batch, _, queries, keys] = shape;
    let first_row = |mask: Tensor<4, Bool>| mask.slice_fill([0..1, 0..1, 0..1, 0..keys], true);
    match layout {
        MaskLayout::Contiguous => first_row(hidden(shape)),
        MaskLayout::Narrowed => hidden([batch, 1, queries, keys + 3]).narrow(3, 2, keys),
        MaskLayout::Expanded => hidden([1, 1, 1, keys]).expand(shape),
    }
}

/// Some fit in one tile, some take several.
fn length(from: usize) -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(from), 1 => Just(1), 8 => from..150, 1 => 500usize..1100]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn attention_is_the_composed_one(
        batch in 0usize..4, heads in 1usize..4, head in 1usize..20, lengths in [length(0), length(1)],
        layouts in [layout(), layout(), layout()], masked in prop::option::of([any::<bool>(), any::<bool>()]),
        mask_layout in mask_layout(), causal in any::<bool>(), seed in 0u64..1000,
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
            let shape = [one_or(each_sample, batch), 1, one_or(each_query, queries), keys];
            mask(shape, mask_layout, seed + 3)
        });
        let options = Attention { hidden, causal, ..Attention::new(heads) };
        let run = |f: fn(Tensor<3>, Tensor<3>, Tensor<3>, Attention) -> Tensor<3>| {
            f(query.view(), key.view(), value.view(), options.clone())
        };
        assert_same!(run(attention), run(composed::attention), [query, key, value]);
    }
}

/// Scores that only a model that has diverged has, as low as those of hidden keys. Numbers of this size are exact to
/// a thousandth, and so are the weights.
#[test]
fn low_scores_are_not_taken_for_hidden_keys() {
    let leaf = |numbers: &[f32]| {
        let data = TensorData::new(numbers.to_vec(), [1, numbers.len(), 1]);
        Tensor::<3>::from_data(data, &device()).require_grad()
    };
    for (query, masked) in [(100.0, false), (60.0, true)] {
        let inputs = [leaf(&[query]), leaf(&[-100.0, -99.95]), leaf(&[1.0, 3.0])];
        let hidden = masked.then(|| Tensor::from_data([[[[false, false]]]], &device()));
        let run = |f: fn(Tensor<3>, Tensor<3>, Tensor<3>, Attention) -> Tensor<3>| {
            let (hidden, [query, key, value]) = (hidden.clone(), inputs.clone());
            let options = Attention {
                hidden,
                ..Attention::new(1)
            };
            f(query, key, value, options).sum().backward()
        };
        let (found, expected) = (run(attention), run(composed::attention));
        for input in &inputs {
            let [found, expected] = [&found, &expected].map(|from| input.grad(from).unwrap());
            assert!(difference(found, expected) < 2e-3);
        }
    }
}

#[test]
fn without_keys_there_is_nothing_to_add() {
    if implementation(&device()) == Implementation::Composed {
        return; // Burn takes no maximum of nothing.
    }
    let query = values([2, 3, 4], 1).require_grad();
    let [key, value] = [2, 3].map(|seed| values([2, 0, 4], seed).require_grad());
    let output = attention(query.clone(), key.clone(), value, Attention::new(2));
    assert_eq!(
        output.clone().into_data(),
        Tensor::<3>::zeros([2, 3, 4], &device()).into_data()
    );
    let gradients = output.sum().backward();
    assert_eq!(
        difference(query.grad(&gradients).unwrap(), query.inner() * 0.0),
        0.0
    );
    assert_eq!(key.grad(&gradients).unwrap().dims(), [2, 0, 4]);
}

/// Dropout, its seed given.
fn with_dropout(inputs: [Tensor<3>; 3], heads: usize, seed: u64) -> Tensor<3> {
    use crate::dropout::Dropout;
    use crate::fused::{Bools, Fused, Scores};
    let scores = Scores {
        heads,
        causal: true,
        dropout: Dropout { chance: 0.3, seed },
    };
    let [query, key, value] = inputs.map(Tensor::into_dispatch);
    let output = burn::backend::Dispatch::attention(query, key, value, Bools::None, scores);
    Tensor::from_dispatch(output)
}

/// With the unit matrix as values the output is the weights themselves, from which the mask is read; the
/// composed attention with that mask is the expectation. Several heads, blocks of queries and tiles of keys.
#[test]
fn dropout_drops_the_same_weights_on_the_way_back() -> Result<(), TestCaseError> {
    const HEADS: usize = 2;
    const QUERIES: usize = 300;
    const KEYS: usize = 600;
    let input = |length, seed| Input::new([1, length, HEADS * KEYS], Layout::Contiguous, seed);
    let [query, key, value] = [input(QUERIES, 1), input(KEYS, 2), input(KEYS, 3)];
    let unit = Tensor::<2>::eye(KEYS, &device())
        .repeat_dim(1, HEADS)
        .unsqueeze::<3>();
    // To [heads, length, keys].
    let split = |x: Tensor<3>, length| x.reshape([length, HEADS, KEYS]).swap_dims(0, 1);
    let kept = |seed| {
        let weights = with_dropout([query.view(), key.view(), unit.clone()], HEADS, seed);
        split(weights.inner(), QUERIES).greater_elem(0.0)
    };
    let weights = || {
        let scores = split(query.view(), QUERIES).matmul(split(key.view(), KEYS).swap_dims(1, 2));
        let past = (KEYS - QUERIES) as i64;
        let future = Tensor::<2, Bool>::tril_mask([QUERIES, KEYS], past, &device());
        let future = future.unsqueeze::<3>().expand([HEADS, QUERIES, KEYS]);
        burn::tensor::activation::softmax(
            (scores * (KEYS as f64).powf(-0.5)).mask_fill(future, -1e4),
            2,
        )
    };
    // Weights that rounding makes zero are dropped in either.
    let mask = Tensor::from_inner(kept(5).float() / 0.7);
    let expected = || {
        let output = (weights() * mask.clone()).matmul(split(value.view(), KEYS));
        output.swap_dims(0, 1).reshape([1, QUERIES, HEADS * KEYS])
    };
    let found = || with_dropout([query.view(), key.view(), value.view()], HEADS, 5);
    assert_same!(found(), expected(), [query, key, value]);

    let visible = weights().inner().greater_elem(0.0);
    let share = |mask: Tensor<3, Bool>, of: &Tensor<3, Bool>| {
        let [mask, of] = [mask, of.clone()].map(|mask| mask.float().sum().into_scalar::<f32>());
        mask / of
    };
    // Standard deviations: below 0.002.
    let found = share(kept(5), &visible);
    assert!((found - 0.7).abs() < 0.01, "{found}");
    let both = share(kept(5).bool_and(kept(6)), &visible);
    assert!(
        (both - 0.49).abs() < 0.01,
        "another seed drops others: {both}"
    );
    let [first, second] = [0, 1].map(|head| kept(5).narrow(0, head, 1));
    let both = share(first.bool_and(second), &visible.narrow(0, 0, 1));
    assert!(
        (both - 0.49).abs() < 0.01,
        "another head drops others: {both}"
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

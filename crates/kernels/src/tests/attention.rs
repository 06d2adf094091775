use super::*;
use crate::attention;

/// A mask of the given shape in which about a quarter of the keys are hidden, among them all of the first row.
fn mask(shape: [usize; 4], seed: u64) -> Tensor<4, Bool> {
    let hidden = values(shape, seed).inner().lower_elem(-1.0);
    hidden.slice_fill([0..1, 0..1, 0..1, 0..shape[3]], true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn attention_is_the_composed_one(
        batch in 0usize..4, heads in 1usize..4, head in 1usize..20, lengths in [0usize..150, 1usize..150],
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

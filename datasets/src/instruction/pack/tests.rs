use proptest::prelude::*;

use super::*;

/// The fewest rows, by trying everything.
fn fewest(lengths: &[usize], max_length: usize) -> usize {
    fn place(lengths: &[usize], rows: &mut Vec<usize>, max_length: usize, best: &mut usize) {
        let Some((length, rest)) = lengths.split_first() else {
            *best = rows.len();
            return;
        };
        for row in 0..=rows.len() {
            if row == rows.len() {
                rows.push(0);
            }
            if rows.len() < *best && rows[row] + length <= max_length {
                rows[row] += length;
                place(rest, rows, max_length, best);
                rows[row] -= length;
            }
            if rows.last() == Some(&0) {
                rows.pop();
            }
        }
    }
    let mut best = lengths.len() + 1;
    place(lengths, &mut Vec::new(), max_length, &mut best);
    best
}

#[test]
fn the_longest_come_first_into_the_first_row_with_room() {
    let rows = pack(&[3, 7, 2, 5, 7, 1, 4], 10).unwrap();
    assert_eq!(rows, [vec![1, 0], vec![4, 2, 5], vec![3, 6]]);
    assert_eq!(pack(&[], 10).unwrap(), Vec::<Vec<usize>>::new());
    assert_eq!(pack(&[10, 10], 10).unwrap(), [[0], [1]]);
    let error = pack(&[3, 12, 11], 10).unwrap_err();
    let expected = ChatError::TooLong {
        needed: 12,
        limit: 10,
    };
    assert_eq!(error, expected);
}

#[test]
fn many_conversations_leave_little_room() {
    let lengths: Vec<usize> = (0..200_000).map(|i| 1 + i * 7919 % 700).collect();
    let rows = pack(&lengths, 2048).unwrap();
    let tokens: usize = lengths.iter().sum();
    let fill = tokens as f64 / (rows.len() * 2048) as f64;
    assert!(fill > 0.99, "{fill}");
}

proptest! {
    #[test]
    fn every_conversation_stands_once_and_no_row_is_too_long(
        lengths in proptest::collection::vec(1..100_usize, 0..200),
    ) {
        let rows = pack(&lengths, 100).unwrap();
        let mut placed: Vec<usize> = rows.iter().flatten().copied().collect();
        placed.sort_unstable();
        prop_assert_eq!(placed, (0..lengths.len()).collect::<Vec<_>>());
        let filled: Vec<usize> = rows.iter().map(|row| row.iter().map(|i| lengths[*i]).sum()).collect();
        prop_assert!(filled.iter().all(|tokens| (1..=100).contains(tokens)));
        // Of no two rows would one have held both.
        let half = filled.iter().filter(|tokens| 2 * **tokens <= 100).count();
        prop_assert!(half <= 1);
        prop_assert_eq!(pack(&lengths, 100).unwrap(), rows.clone());
    }

    /// 11/9 of the fewest rows, and 6/9 (Dósa 2007).
    #[test]
    fn little_is_wasted(lengths in proptest::collection::vec(1..=20_usize, 1..10)) {
        let (rows, fewest) = (pack(&lengths, 20).unwrap().len(), fewest(&lengths, 20));
        prop_assert!(rows >= fewest && 9 * rows <= 11 * fewest + 6, "{} rows, not {}", rows, fewest);
    }
}

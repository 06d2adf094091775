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

fn rendered(length: usize, first: u32) -> Rendered {
    Rendered {
        ids: (first..).take(length).collect(),
        labels: (0..length).map(|i| i % 3 == 0).collect(),
        images: std::iter::once(1..2).filter(|_| length > 1).collect(),
    }
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
fn a_row_keeps_its_conversations_apart() {
    let row = Row::join([&rendered(3, 10), &rendered(1, 20), &rendered(2, 30)]);
    assert_eq!(row.ids, [10, 11, 12, 20, 30, 31]);
    assert_eq!(row.labels, [true, false, false, true, true, false]);
    assert_eq!(row.positions, [0, 1, 2, 0, 0, 1]);
    assert_eq!(row.segments, [1, 1, 1, 2, 3, 3]);
    assert_eq!(row.images, [1..2, 5..6]);
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

        let conversations: Vec<Rendered> =
            lengths.iter().zip((0..).step_by(100)).map(|(length, first)| rendered(*length, first)).collect();
        let joined = rows.iter().map(|row| Row::join(row.iter().map(|i| &conversations[*i])));
        let mut ids: Vec<u32> = joined.flat_map(|row| row.ids).collect();
        let mut expected: Vec<u32> = conversations.iter().flat_map(|c| c.ids.clone()).collect();
        ids.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(ids, expected);
    }

    /// 11/9 of the fewest rows, and 6/9 (Dósa 2007).
    #[test]
    fn little_is_wasted(lengths in proptest::collection::vec(1..=20_usize, 1..10)) {
        let (rows, fewest) = (pack(&lengths, 20).unwrap().len(), fewest(&lengths, 20));
        prop_assert!(rows >= fewest && 9 * rows <= 11 * fewest + 6, "{} rows, not {}", rows, fewest);
    }
}

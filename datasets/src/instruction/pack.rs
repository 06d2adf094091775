//! Packing: several short conversations in one row, so that little of a batch is padding.
//!
//! First-fit decreasing (Johnson 1973): the longest first, each into the first row that has room, which takes at most
//! 11/9 of the fewest rows possible, and 6/9 of a row (Dósa 2007). Conversations see nothing of each other: positions
//! start again at each, and attention stays within a segment (Krell et al. 2021).

use std::cmp::Reverse;

use super::ChatError;

/// Which conversations share a row, given how many tokens each has: their indices, row by row. Every conversation stands
/// in one row, whole; no row has more than `max_length` tokens. Equal lengths keep their order.
///
/// # Errors
///
/// [`ChatError::TooLong`] if a conversation is longer than a row.
pub fn pack(lengths: &[usize], max_length: usize) -> Result<Vec<Vec<usize>>, ChatError> {
    let mut order: Vec<(usize, usize)> = lengths.iter().copied().enumerate().collect();
    order.sort_by_key(|&(index, length)| (Reverse(length), index));
    if let Some(&(_, needed)) = order.first().filter(|(_, length)| *length > max_length) {
        return Err(ChatError::TooLong {
            needed,
            limit: max_length,
        });
    }
    let mut free = Free::new(lengths.len(), max_length);
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (index, length) in order {
        let row = free.take(length);
        match rows.get_mut(row) {
            Some(row) => row.push(index),
            None => rows.push(vec![index]),
        }
    }
    Ok(rows)
}

/// Room in rows, as a tree whose nodes know the most room below them.
struct Free {
    room: Vec<usize>,
    leaves: usize,
}

impl Free {
    fn new(rows: usize, room: usize) -> Self {
        let leaves = rows.next_power_of_two();
        Self {
            room: vec![room; 2 * leaves],
            leaves,
        }
    }

    /// Takes room in the first row that has it.
    fn take(&mut self, length: usize) -> usize {
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            node += usize::from(self.room[node] < length);
        }
        let row = node - self.leaves;
        // Of as many rows as there are conversations, one has room for a conversation that fits in a row.
        self.room[node] = self.room[node].saturating_sub(length);
        while node > 1 {
            node /= 2;
            self.room[node] = self.room[2 * node].max(self.room[2 * node + 1]);
        }
        row
    }
}

#[cfg(test)]
mod tests;

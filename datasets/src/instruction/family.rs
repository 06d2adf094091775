//! Conversations about the same pictures, together.

use std::collections::HashMap;

use super::{Conversation, InstructionData};
use crate::{Data, DataError, Split};

/// Conversations about the same pictures, which a model needs to see only once for all of them; one about none is by
/// itself. At least one.
pub type Family = Vec<Conversation>;

/// The conversations of each split in families of at most so many (0: of any size), in the order of their first ones. A
/// picture about which there are more has several families, among which its conversations are dealt out in turn.
///
/// # Errors
///
/// Whatever is wrong with a sample.
pub fn families(data: &InstructionData, most: usize) -> Result<Data<Family>, DataError> {
    let mut splits = [const { Vec::new() }; 3];
    for (split, families) in Split::ALL.into_iter().zip(&mut splits) {
        let samples = data.split(split);
        let mut of_pictures: HashMap<Vec<String>, usize> = HashMap::new();
        for index in 0..samples.len() {
            let conversation = samples.get(index).map_err(DataError::Dataset)?;
            let pictures: Vec<String> = conversation
                .images
                .iter()
                .map(|image| image.name())
                .collect();
            let known = of_pictures.get(&pictures).filter(|_| !pictures.is_empty());
            match known.and_then(|&family| families.get_mut(family)) {
                Some(family) => Vec::push(family, conversation),
                None => {
                    of_pictures.insert(pictures, families.len());
                    families.push(vec![conversation]);
                }
            }
        }
        if most > 0 {
            *families = families
                .drain(..)
                .flat_map(|family| dealt(family, most))
                .collect();
        }
    }
    let (name, digest) = (data.name.as_str(), data.digest.clone());
    Ok(Data::in_memory(name, splits, Vec::new(), digest))
}

fn dealt(family: Family, most: usize) -> Vec<Family> {
    let count = family.len().div_ceil(most);
    let mut hands = vec![Family::new(); count];
    for (at, conversation) in family.into_iter().enumerate() {
        hands[at % count].push(conversation);
    }
    hands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::open_instructions;

    #[test]
    fn what_is_said_of_a_picture_stays_together_and_nothing_is_lost() {
        let data = open_instructions("easy-vqa-instructions").unwrap();
        let families = families(&data, 0).unwrap();
        assert_eq!((families.train.len(), families.test.len()), (3800, 1000));
        let count: usize = (0..3800)
            .map(|at| families.train.get(at).unwrap().len())
            .sum();
        assert_eq!(count, data.train.len());
        let family = families.train.get(7).unwrap();
        assert!(family.len() > 5);
        let name = family[0].images[0].name();
        assert!(
            family
                .iter()
                .all(|conversation| conversation.images[0].name() == name)
        );
    }

    #[test]
    fn large_families_are_dealt_out() {
        let data = open_instructions("easy-vqa-instructions").unwrap();
        let [whole, dealt] = [0, 4].map(|most| families(&data, most).unwrap());
        let sizes = |data: &Data<Family>| -> Vec<usize> {
            let size = |at| data.valid.get(at).unwrap().len();
            (0..data.valid.len()).map(size).collect()
        };
        let (whole, dealt) = (sizes(&whole), sizes(&dealt));
        assert!(
            whole.iter().any(|&size| size > 8) && dealt.iter().all(|size| (1..=4).contains(size))
        );
        assert_eq!(whole.iter().sum::<usize>(), dealt.iter().sum::<usize>());
        let count: usize = whole.iter().map(|size| size.div_ceil(4)).sum();
        assert_eq!(dealt.len(), count);
    }

    #[test]
    fn words_alone_are_by_themselves() {
        let data = open_instructions("word-instructions").unwrap();
        let families = families(&data, 4).unwrap();
        assert_eq!(families.train.len(), data.train.len());
    }
}

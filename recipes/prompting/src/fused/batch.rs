//! Pictures with questions in other words, and beside them further wordings that mean the same.

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use crucible_datasets::instruction::tasks::Reworded;
use crucible_datasets::{
    CLS, Collate, DataError, Drawn, Question, SEP, Tokenizer, Tokens, TokensHost, UNK, VqaBatch,
    VqaCollate, VqaHost, VqaSample,
};
use rand::RngExt;

/// Questions about images, and their wordings as an encoder of instructions reads them.
#[derive(Clone, Debug)]
pub struct RewordedBatch {
    /// Images and questions.
    pub vqa: VqaBatch,
    /// The wording of each question, then further ones that are not to be answered; none where the prompt reads none.
    pub instructions: Option<Tokens>,
    /// In training, which of these mean the same, `[instructions, instructions]`.
    pub same: Option<Tensor<2, Bool>>,
}

/// A [`RewordedBatch`] in host memory.
pub struct RewordedHost {
    vqa: VqaHost,
    instructions: Option<TokensHost>,
    groups: Option<Vec<usize>>,
}

/// Makes [`RewordedBatch`]es: in training each item is asked in one of its wordings, else in all of them.
pub struct RewordedCollate {
    /// Makes batches of the frozen model.
    pub vqa: VqaCollate,
    /// Reads wordings for the encoder of instructions.
    pub instructions: Option<Instructions>,
}

/// What wordings become.
pub struct Instructions {
    /// Of the run.
    pub tokenizer: Arc<Tokenizer>,
    /// Chance that a word of a training wording is hidden.
    pub hidden: f64,
    /// Further wordings for each question of a training batch.
    pub paraphrases: usize,
    /// All training wordings, group by group.
    pub groups: Vec<Vec<String>>,
    /// The group of each.
    pub group_of: HashMap<String, usize>,
}

impl Instructions {
    /// Ids of a training wording, of whose words some are hidden as if they were unknown.
    fn hide(&self, text: &str, random: &mut impl RngExt) -> Result<Vec<u32>, DataError> {
        let mut ids = self.tokenizer.encode(text)?;
        let special = [CLS, SEP].map(|token| self.tokenizer.id(token));
        if let Some(unknown) = self.tokenizer.id(UNK) {
            for id in ids.iter_mut().filter(|id| !special.contains(&Some(**id))) {
                if random.random_bool(self.hidden) {
                    *id = unknown;
                }
            }
        }
        Ok(ids)
    }
}

impl Collate for RewordedCollate {
    type Sample = Reworded;
    type Host = RewordedHost;
    type Batch = RewordedBatch;

    fn collate(&self, drawn: Vec<Drawn<Reworded>>) -> Result<RewordedHost, DataError> {
        let (mut asked, mut read) = (Vec::new(), Vec::new());
        let (mut further, mut groups, mut further_groups) = (Vec::new(), Vec::new(), Vec::new());
        let mut training = false;
        for item in drawn {
            training |= item.draw.is_some();
            let random = &mut item.masking();
            let Drawn {
                sample,
                index,
                draw,
            } = item;
            let count = sample.wordings.len();
            let chosen = match draw {
                Some(_) => {
                    let one = random.random_range(0..count.max(1));
                    one..(one + 1).min(count)
                }
                None => 0..count,
            };
            let question = |number: usize| Question {
                id: format!("{}#{number}", sample.id),
                text: sample.wordings[number].clone(),
                answer: sample.answer.clone(),
            };
            let questions: Vec<Question> = chosen.map(question).collect();
            if let Some(instructions) = &self.instructions {
                for Question { text, .. } in &questions {
                    if draw.is_none() {
                        read.push(instructions.tokenizer.encode(text)?);
                        continue;
                    }
                    read.push(instructions.hide(text, random)?);
                    let Some(&group) = instructions.group_of.get(text) else {
                        continue;
                    };
                    groups.push(group);
                    let all = &instructions.groups[group];
                    for _ in 0..instructions.paraphrases {
                        let other = &all[random.random_range(0..all.len())];
                        further.push(instructions.hide(other, random)?);
                        further_groups.push(group);
                    }
                }
            }
            let sample = VqaSample {
                id: sample.id,
                image: sample.image,
                questions,
            };
            asked.push(Drawn {
                sample,
                index,
                draw,
            });
        }
        read.extend(further);
        groups.extend(further_groups);
        let padding = |of: &Instructions| TokensHost::pad(&read, of.tokenizer.padding());
        Ok(RewordedHost {
            instructions: self.instructions.as_ref().map(padding),
            groups: (training && groups.len() == read.len()).then_some(groups),
            vqa: self.vqa.collate(asked)?,
        })
    }

    fn upload(&self, host: RewordedHost, device: &Device) -> RewordedBatch {
        let same = |groups: Vec<usize>| {
            let rows = groups.len();
            let pairs = groups
                .iter()
                .flat_map(|a| groups.iter().map(move |b| a == b));
            let pairs = TensorData::new(pairs.collect::<Vec<bool>>(), [rows, rows]);
            Tensor::from_data(pairs, device)
        };
        RewordedBatch {
            vqa: self.vqa.upload(host.vqa, device),
            instructions: host.instructions.map(|tokens| tokens.upload(device)),
            same: host.groups.map(same),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::align::{AlignConfig, AlignForm, Pairs};
    use crate::fused::wordings::{Groups, training};
    use crucible_datasets::instruction::tasks::{Few, reworded};
    use crucible_datasets::{
        AugmentConfig, Blank, Draw, ImageConfig, ImageProcessor, TokenizerConfig, open_vqa,
    };

    const SHOTS: usize = 2;
    const PARAPHRASES: usize = 3;

    fn items() -> (Vec<Reworded>, RewordedCollate) {
        let easy = open_vqa("easy-vqa").unwrap();
        let few = Few {
            shots: SHOTS,
            wordings: 1,
            seed: 0,
        };
        let data = reworded(&easy, &easy.labels, few).unwrap();
        let items: Vec<Reworded> = (0..data.train.len())
            .map(|at| data.train.get(at).unwrap())
            .collect();
        let wordings = training(&items, true);
        let align = AlignConfig {
            form: AlignForm::Pull,
            weight: 1.0,
            scale: 1.0,
            pairs: Pairs::Meanings,
            clusters: 1,
            paraphrases: PARAPHRASES,
        };
        let groups = Groups::of(&wordings, &align, || Ok(Vec::new())).unwrap();
        assert_eq!(groups.purity, None);
        let tokenizer = Tokenizer::new(&TokenizerConfig::default(), wordings.keys()).unwrap();
        let tokenizer = Arc::new(tokenizer);
        let images = ImageProcessor::new(&ImageConfig::symmetric(8)).unwrap();
        let augment = AugmentConfig::default();
        let vqa = VqaCollate::new(
            Arc::new(images),
            augment,
            tokenizer.clone(),
            &easy.labels,
            Blank::None,
        );
        let instructions = Instructions {
            tokenizer,
            hidden: 0.0,
            paraphrases: PARAPHRASES,
            groups: groups.members,
            group_of: groups.of,
        };
        let collate = RewordedCollate {
            vqa: vqa.unwrap(),
            instructions: Some(instructions),
        };
        (items, collate)
    }

    fn batch(collate: &RewordedCollate, items: &[Reworded], training: bool) -> RewordedBatch {
        let drawn = items.iter().enumerate().map(|(index, sample)| Drawn {
            sample: sample.clone(),
            index,
            draw: training.then_some(Draw {
                seed: 0,
                epoch: 0,
                index,
            }),
        });
        let host = collate.collate(drawn.collect()).unwrap();
        collate.upload(host, &Device::flex())
    }

    #[test]
    fn training_asks_once_and_reads_further_wordings_of_the_same_meaning() {
        let (items, collate) = items();
        let some = &items[..4];
        let found = batch(&collate, some, true);
        assert_eq!(found.vqa.image_of.dims(), [4]);
        let rows = 4 * (1 + PARAPHRASES);
        let instructions = found.instructions.unwrap();
        assert_eq!(instructions.ids.dims()[0], rows);
        // The questions come first, then what is aligned with each in turn.
        let meaning = |row: usize| match row.checked_sub(4) {
            None => some[row].meaning,
            Some(further) => some[further / PARAPHRASES].meaning,
        };
        let same: Vec<bool> = found.same.unwrap().into_data().iter().collect();
        for (at, same) in same.into_iter().enumerate() {
            assert_eq!(same, meaning(at / rows) == meaning(at % rows));
        }
        // What is further is no copy of what is asked.
        let [_, length] = instructions.ids.dims();
        let ids: Vec<i64> = instructions.ids.into_data().iter().collect();
        let texts: std::collections::HashSet<&[i64]> = ids.chunks(length).collect();
        assert!(texts.len() > 8, "{}", texts.len());
    }

    #[test]
    fn evaluation_asks_in_all_wordings_and_aligns_nothing() {
        let (mut items, collate) = items();
        items.truncate(2);
        items[0].wordings = ["one?", "two?", "three?"].map(String::from).into();
        let found = batch(&collate, &items, false);
        let of: Vec<i64> = found.vqa.image_of.into_data().iter().collect();
        assert_eq!(of, [0, 0, 0, 1]);
        assert_eq!(found.instructions.unwrap().ids.dims()[0], 4);
        assert!(found.same.is_none());
        assert_eq!(found.vqa.ids[2], format!("{}#2", items[0].id));
    }

    #[test]
    fn hidden_words_are_unknown_ones() {
        let (_, mut collate) = items();
        let instructions = collate.instructions.as_mut().unwrap();
        instructions.hidden = 1.0;
        let drawn = Drawn {
            sample: (),
            index: 0,
            draw: None,
        };
        let text = "Name the color of the shape.";
        let ids = instructions.hide(text, &mut drawn.masking()).unwrap();
        let [start, unknown, end] =
            [CLS, UNK, SEP].map(|token| instructions.tokenizer.id(token).unwrap());
        assert_eq!((ids[0], ids[ids.len() - 1]), (start, end));
        assert!(ids[1..ids.len() - 1].iter().all(|id| *id == unknown));
    }
}

//! Vectors of a user's own images and texts, and what of a dataset lies closest to them.

use std::collections::HashSet;

use crucible_datasets::{ImageSource, Kind, Samples, Split, kind, open_captions, open_pictures};
use crucible_evaluation::retrieval::Vectors;
use crucible_training::{Among, Error, Match, Query};

use crate::embedding::{Embed, Embedder};

/// A vector of length one for each.
pub fn embed<E: Embed>(
    embedder: &Embedder<'_, E>,
    queries: &[Query],
) -> Result<Vec<Vec<f32>>, Error> {
    let vector = |query: &Query| {
        let vectors = match query {
            Query::Text(text) if text.trim().is_empty() => {
                return Err(Error::Usage("the text to look for is empty".into()));
            }
            Query::Text(text) => embedder.known(text)?.texts(&[text]),
            Query::Image(path) => embedder.images(&[ImageSource::File(path.clone())]),
        }?;
        Ok(vectors.row(0).to_vec())
    };
    queries.iter().map(vector).collect()
}

/// Everything of a dataset, whatever its split, with the most similar first. When it is left open, a text looks among
/// images, and an image among captions where there are any.
pub fn search<E: Embed>(
    embedder: &Embedder<'_, E>,
    query: &Query,
    among: Option<Among>,
    data: &str,
) -> Result<Vec<Match>, Error> {
    let entries = entries(data)?;
    let captioned = entries.iter().any(|entry| !entry.captions.is_empty());
    let among = among.unwrap_or(match query {
        Query::Image(_) if captioned => Among::Texts,
        _ => Among::Images,
    });
    let query = embed(embedder, std::slice::from_ref(query))?.concat();
    let (vectors, mut found) = match among {
        Among::Images => images(embedder, entries)?,
        Among::Texts if captioned => texts(embedder, entries)?,
        Among::Texts => {
            return Err(Error::Usage(format!(
                "{data} has no captions to look through; leave out --among texts"
            )));
        }
    };
    for (entry, cosine) in found.iter_mut().zip(vectors.cosines(&query)) {
        entry.similarity = f64::from(cosine);
    }
    found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    Ok(found)
}

struct Entry {
    id: String,
    image: ImageSource,
    captions: Vec<String>,
}

fn entries(data: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    if kind(data).map_err(Error::data)? == Kind::Captions {
        let data = open_captions(data).map_err(Error::data)?;
        for split in Split::ALL {
            collect(data.split(split), &mut entries, |sample| Entry {
                id: sample.id,
                image: sample.image,
                captions: sample.captions,
            })?;
        }
    } else {
        let data = open_pictures(data).map_err(Error::data)?;
        for split in Split::ALL {
            collect(data.split(split), &mut entries, |picture| Entry {
                id: picture.id,
                image: picture.image,
                captions: Vec::new(),
            })?;
        }
    }
    Ok(entries)
}

fn collect<S>(
    samples: &Samples<S>,
    entries: &mut Vec<Entry>,
    entry: impl Fn(S) -> Entry,
) -> Result<(), Error> {
    for index in 0..samples.len() {
        entries.push(entry(samples.get(index).map_err(Error::data)?));
    }
    Ok(())
}

fn images<E: Embed>(
    embedder: &Embedder<'_, E>,
    entries: Vec<Entry>,
) -> Result<(Vectors, Vec<Match>), Error> {
    let sources: Vec<ImageSource> = entries.iter().map(|entry| entry.image.clone()).collect();
    let found = entries.into_iter().map(|entry| Match {
        similarity: 0.0,
        image: entry.id,
        caption: entry.captions.into_iter().next().unwrap_or_default(),
    });
    Ok((embedder.images(&sources)?, found.collect()))
}

/// Each text once, however many images have it.
fn texts<E: Embed>(
    embedder: &Embedder<'_, E>,
    entries: Vec<Entry>,
) -> Result<(Vectors, Vec<Match>), Error> {
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for entry in entries {
        for caption in entry.captions {
            if known.insert(caption.clone()) {
                found.push(Match {
                    similarity: 0.0,
                    image: entry.id.clone(),
                    caption,
                });
            }
        }
    }
    let texts: Vec<&str> = found.iter().map(|found| found.caption.as_str()).collect();
    Ok((embedder.texts(&texts)?, found))
}

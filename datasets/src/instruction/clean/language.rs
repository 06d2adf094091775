//! Which language a text is written in, as far as can be told.

use whatlang::Lang;

use super::words::words;
use super::{LanguageConfig, Reason};

/// Whether a language of this ISO 639-3 code can be told from others.
pub(super) fn is_known(code: &str) -> bool {
    Lang::from_code(code).is_some_and(|lang| lang.code() == code)
}

/// Why a text is not kept: it is long enough to tell, and reliably in none of the languages.
pub(super) fn check(text: impl FnOnce() -> String, config: &LanguageConfig) -> Option<Reason> {
    if config.keep.is_empty() {
        return None;
    }
    let text = text();
    if words(&text).count() < config.min_words {
        return None;
    }
    let found = whatlang::detect(&text).filter(whatlang::Info::is_reliable)?;
    let code = found.lang().code();
    let kept = config.keep.iter().any(|keep| keep == code);
    (!kept).then(|| Reason::Language { found: code.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Reason> {
        let keep = vec!["eng".into(), "deu".into()];
        check(
            || text.into(),
            &LanguageConfig {
                keep,
                min_words: 12,
            },
        )
    }

    #[test]
    fn a_long_text_in_another_language_goes() {
        let english = "The picture shows a large red circle that somebody has drawn on a pale sheet of paper.";
        let german = "Auf dem Bild ist ein großer roter Kreis zu sehen, den jemand auf ein helles Blatt gemalt hat.";
        let french = "On voit sur cette image un grand cercle rouge que quelqu'un a peint sur une feuille de papier.";
        assert_eq!(of(english), None);
        assert_eq!(of(german), None);
        let found = "fra".into();
        assert_eq!(of(french), Some(Reason::Language { found }));
        let found = "cmn".into();
        let chinese = "这张图片里有一个很大的红色圆形，画在一张浅色的纸上。";
        assert_eq!(of(chinese), Some(Reason::Language { found }));
    }

    #[test]
    fn what_is_too_short_to_tell_stays() {
        assert_eq!(of("un cercle rouge"), None);
        assert_eq!(of("一个红色圆形"), None);
        let any = LanguageConfig {
            keep: Vec::new(),
            min_words: 0,
        };
        assert_eq!(
            check(
                || "On voit un grand cercle rouge sur cette image.".into(),
                &any
            ),
            None
        );
    }

    #[test]
    fn codes_are_those_of_iso_639_3() {
        assert!(is_known("eng") && is_known("cmn"));
        assert!(!is_known("en") && !is_known("English") && !is_known(""));
    }
}

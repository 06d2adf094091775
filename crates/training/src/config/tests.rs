use super::*;
use crate::Origin;
use serde::Deserialize;
use std::io::Write;

/// A configuration with one of everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Config {
    /// Zeroth on purpose: the order of declaration is not the order of the alphabet.
    zeta: usize,
    /// A free name.
    name: String,
    /// Sides of the image, smallest first.
    sides: Vec<usize>,
    /// In single precision.
    dropout: f32,
    /// Whether to flip.
    flip: bool,
    /// How to pool.
    pooling: Pooling,
    /// How to train.
    training: crate::TrainingConfig,
    /// How to fuse.
    fusion: Fusion,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Pooling {
    Cls,
    /// A variant with a comment has a schema of its own.
    MeanOfAll,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "strategy", rename_all = "kebab-case")]
enum Fusion {
    Early(Early),
    Late(Late),
    Sum(Sum),
}

/// As the configurations of models are written: Burn's derive implements serde.
#[derive(burn::config::Config, Debug, PartialEq, JsonSchema)]
struct Early {
    /// Joint layers.
    #[config(default = 4)]
    layers: usize,
}

/// A strategy with nothing to configure.
#[derive(burn::config::Config, Debug, PartialEq, JsonSchema)]
struct Sum {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Late {
    /// Width of the joint space.
    width: usize,
    /// Hidden layers of the head.
    layers: usize,
}

fn preset(choices: &Table) -> Config {
    Config {
        zeta: 1,
        name: "easy-vqa".into(),
        sides: vec![32, 64],
        dropout: 0.1,
        flip: true,
        pooling: Pooling::Cls,
        training: crate::TrainingConfig::new(400, 1e-3),
        fusion: match choice(choices, "fusion", "strategy") {
            Some("late") => Fusion::Late(Late {
                width: 128,
                layers: 1,
            }),
            Some("sum") => Fusion::Sum(Sum::new()),
            _ => Fusion::Early(Early::new()),
        },
    }
}

fn with_sets(sets: &[&str]) -> Result<Config, Error> {
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    resolve(preset, None, &sets).map(|resolved| read(&resolved.table).unwrap())
}

fn with_file(text: &str) -> Result<Config, Error> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    resolve(preset, Some(file.path()), &[]).map(|resolved| read(&resolved.table).unwrap())
}

fn line_of(error: &Error) -> usize {
    let at = match error {
        Error::UnknownKey { at, .. }
        | Error::UnknownVariant { at, .. }
        | Error::WrongType { at, .. }
        | Error::Syntax { at, .. } => at,
        other => panic!("no place: {other}"),
    };
    match at {
        Origin::File { line, .. } => *line,
        Origin::Set(_) => panic!("not from a file: {error}"),
    }
}

#[test]
fn nothing_asked_gives_the_preset() {
    assert_eq!(with_sets(&[]).unwrap(), preset(&Table::new()));
}

#[test]
fn file_lies_over_preset_and_set_over_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"zeta = 2\nname = \"file\"\n[training]\nsteps = 50\n")
        .unwrap();
    let sets = ["name=set".to_string(), "training.clip_norm=2".to_string()];
    let resolved = resolve(preset, Some(file.path()), &sets).unwrap();
    let config: Config = read(&resolved.table).unwrap();
    assert_eq!((config.zeta, config.name.as_str()), (2, "set"));
    assert_eq!(
        (config.training.steps, config.training.clip_norm),
        (50, 2.0)
    );
    assert_eq!(config.training.learning_rate, 1e-3, "untouched");
}

#[test]
fn set_is_read_by_the_type_of_its_key() {
    let config = with_sets(&[
        "name=5",
        "zeta=1_000",
        "dropout=0",
        "flip=false",
        "sides=[8, 16, 32]",
        "pooling=mean-of-all",
        "training.learning_rate = 3e-4",
    ])
    .unwrap();
    assert_eq!(config.name, "5");
    assert_eq!(
        (config.zeta, config.dropout, config.flip),
        (1000, 0.0, false)
    );
    assert_eq!(
        (config.sides, config.pooling),
        (vec![8, 16, 32], Pooling::MeanOfAll)
    );
    assert_eq!(config.training.learning_rate, 3e-4);
    assert_eq!(
        with_sets(&["name=\"quoted = word\""]).unwrap().name,
        "quoted = word"
    );
    assert_eq!(with_sets(&["name=a b"]).unwrap().name, "a b");
    assert_eq!(with_sets(&["name="]).unwrap().name, "");
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (set, suggestion) in [
        ("zta=1", Some("zeta")),
        ("training.learnig_rate=1", Some("training.learning_rate")),
        ("training.step=1", Some("training.steps")),
        ("trainig.steps=1", Some("training")),
        // Right name, wrong place.
        ("learning_rate=1", Some("training.learning_rate")),
        ("fusion.layer=1", Some("fusion.layers")),
        ("quux=1", None),
    ] {
        match with_sets(&[set]).unwrap_err() {
            Error::UnknownKey { names, at, .. } => {
                assert_eq!(names.suggestion.as_deref(), suggestion, "{set}");
                assert_eq!(at, Origin::Set(set.to_string()));
            }
            other => panic!("{set}: {other}"),
        }
    }
}

#[test]
fn a_file_error_has_its_line() {
    for (text, line, says) in [
        ("zeta = 1\n\nnmae = \"x\"\n", 3, "did you mean `name`"),
        (
            "[training]\nsteps = 1\n\n[trainnig]\nsteps = 2\n",
            4,
            "did you mean `training`",
        ),
        (
            "[training]\nsteps = 1\nwarmup = 3\n",
            3,
            "did you mean `training.warmup_steps`",
        ),
        ("zeta = 1\n[traning]\n", 2, "unknown key `traning`"),
        (
            "name = \"x\"\nzeta = \"ten\"\n",
            2,
            "`zeta` must be an integer of at least 0, not the string `ten`",
        ),
        ("zeta = 1\nzeta = 2\n", 2, "duplicate key"),
        ("zeta = 1\nname = \n", 2, ""),
        ("\n\npooling = \"mean\"\n", 3, "`pooling` cannot be `mean`"),
        (
            "fusion.layers = 2\nfusion.width = 3\n",
            2,
            "unknown key `fusion.width`",
        ),
    ] {
        let error = with_file(text).unwrap_err();
        assert_eq!(line_of(&error), line, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn wrong_types_say_what_is_expected_and_what_was_found() {
    for (set, says) in [
        (
            "zeta=1.5",
            "`zeta` must be an integer of at least 0, not the number `1.5`",
        ),
        (
            "zeta=-1",
            "`zeta` must be an integer of at least 0, not the integer `-1`",
        ),
        (
            "flip=yes",
            "`flip` must be true or false, not the string `yes`",
        ),
        ("sides=3", "`sides` must be a list, not the integer `3`"),
        (
            "sides=[1, \"x\"]",
            "`sides` must be an integer of at least 0, not the string `x`",
        ),
        (
            "training.learning_rate=fast",
            "`training.learning_rate` must be a number from 0 to 1, not the string `fast`",
        ),
        (
            "training.learning_rate=2",
            "`training.learning_rate` must be a number from 0 to 1, not the integer `2`",
        ),
        ("training.learning_rate=nan", "must be a number from 0 to 1"),
        (
            "training.steps=0",
            "`training.steps` must be an integer of at least 1, not the integer `0`",
        ),
        (
            "training=5",
            "`training` must be a table, not the integer `5`",
        ),
        (
            "fusion=5",
            "`fusion` must be a table with the key `strategy`, or one of early, late, sum, not the integer `5`",
        ),
    ] {
        let error = with_sets(&[set]).unwrap_err();
        assert!(error.to_string().contains(says), "{set}: {error}");
        assert!(
            error.to_string().starts_with(&format!("--set {set}: ")),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn a_value_has_no_keys_of_its_own() {
    let error = with_sets(&["zeta.inner=1"]).unwrap_err();
    assert!(error.to_string().contains("`zeta` is a value"), "{error}");
}

#[test]
fn an_assignment_needs_a_key_and_an_equals_sign() {
    for set in ["zeta", "=1", "training..steps=1"] {
        let error = with_sets(&[set]).unwrap_err();
        assert!(matches!(error, Error::Syntax { .. }), "{set}: {error}");
    }
    // A second line must not smuggle in a second assignment.
    assert!(with_sets(&["zeta=1\nname = \"x\""]).is_err());
}

#[test]
fn unknown_words_name_the_nearest() {
    for (set, nearest, valid) in [
        ("pooling=cl", "cls", "cls, mean-of-all"),
        ("pooling=mean_of_all", "mean-of-all", "cls, mean-of-all"),
        ("fusion=lat", "late", "early, late, sum"),
        ("fusion.strategy=erly", "early", "early, late, sum"),
    ] {
        let error = with_sets(&[set]).unwrap_err().to_string();
        assert!(
            error.contains(&format!("did you mean `{nearest}`? (valid: ")),
            "{error}"
        );
        assert!(error.ends_with(&format!("(valid: {valid})")), "{error}");
    }
}

#[test]
fn a_strategy_is_chosen_by_its_name_alone() {
    let late = Fusion::Late(Late {
        width: 128,
        layers: 1,
    });
    assert_eq!(with_sets(&["fusion=late"]).unwrap().fusion, late);
    assert_eq!(with_sets(&["fusion.strategy=late"]).unwrap().fusion, late);
    assert_eq!(with_file("fusion = \"late\"\n").unwrap().fusion, late);
    assert_eq!(
        with_file("[fusion]\nstrategy = \"late\"\n").unwrap().fusion,
        late
    );
}

#[test]
fn the_keys_of_a_chosen_strategy_may_come_before_the_choice() {
    let late = Fusion::Late(Late {
        width: 64,
        layers: 1,
    });
    assert_eq!(
        with_sets(&["fusion.width=64", "fusion=late"])
            .unwrap()
            .fusion,
        late
    );
    assert_eq!(
        with_sets(&["fusion={width = 64, strategy = \"late\"}"])
            .unwrap()
            .fusion,
        late
    );
    assert_eq!(
        with_file("[fusion]\nwidth = 64\nstrategy = \"late\"\n")
            .unwrap()
            .fusion,
        late
    );
    assert_eq!(
        with_sets(&["fusion=sum"]).unwrap().fusion,
        Fusion::Sum(Sum::new())
    );
    // A key of the other strategy is unknown.
    assert!(matches!(
        with_sets(&["fusion=early", "fusion.width=64"]),
        Err(Error::UnknownKey { .. })
    ));
}

#[test]
fn a_choice_that_the_preset_does_not_follow_needs_all_its_keys() {
    let stubborn = |_: &Table| preset(&Table::new());
    let sets = |sets: &[&str]| sets.iter().map(|set| set.to_string()).collect::<Vec<_>>();
    let error = resolve::<Config>(stubborn, None, &sets(&["fusion=late"]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("missing field `width`"), "{error}");
    let whole = resolve::<Config>(
        stubborn,
        None,
        &sets(&["fusion.width=8", "fusion.layers=2", "fusion=late"]),
    )
    .unwrap();
    assert_eq!(
        read::<Config>(&whole.table).unwrap().fusion,
        Fusion::Late(Late {
            width: 8,
            layers: 2
        })
    );
}

#[test]
fn the_printed_configuration_parses_back_and_explains_every_key() {
    for sets in [
        vec![],
        vec![
            "fusion=late".to_string(),
            "name=\"a \\\"b\\\" # c\"".to_string(),
        ],
    ] {
        let resolved = resolve(preset, None, &sets).unwrap();
        assert_eq!(
            toml::from_str::<Table>(&resolved.commented).unwrap(),
            resolved.table,
            "{}",
            resolved.commented
        );
        let lines: Vec<&str> = resolved.commented.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let is_tag = line.starts_with("strategy");
            if (line.contains(" = ") || line.starts_with('[')) && !line.starts_with('#') && !is_tag
            {
                assert!(
                    index > 0 && lines[index - 1].starts_with('#'),
                    "no comment above `{line}`"
                );
            }
        }
    }
}

#[test]
fn keys_are_printed_in_the_order_of_their_declaration() {
    let text = resolve(preset, None, &["fusion=late".to_string()])
        .unwrap()
        .commented;
    let order = [
        "zeta",
        "name",
        "sides",
        "dropout",
        "flip",
        "pooling",
        "[training]",
        "\nsteps",
        "[fusion]",
        "strategy",
        "width",
        "\nlayers",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|key| {
            text.find(&format!("\n{}", key.trim_start()))
                .map_or(0, |at| at)
        })
        .collect();
    assert!(places.is_sorted(), "{text}");
    assert!(
        text.contains("# In single precision.\ndropout = 0.1\n"),
        "{text}"
    );
    assert!(
        text.contains("# How to pool.\n# One of: cls, mean-of-all.\npooling = \"cls\"\n"),
        "{text}"
    );
    assert!(
        text.contains("# One of: early, late, sum.\n[fusion]\nstrategy = \"late\"\n"),
        "{text}"
    );
}

#[test]
fn a_finished_run_is_read_back_from_json() {
    let resolved = resolve(preset, None, &["dropout=0.3".to_string()]).unwrap();
    let json = serde_json::to_string(&resolved.table).unwrap();
    let table: Table = serde_json::from_str(&json).unwrap();
    assert_eq!(table, resolved.table);
    assert_eq!(read::<Config>(&table).unwrap().dropout, 0.3);
    assert_eq!(print_commented::<Config>(&table), resolved.commented);
}

#[test]
fn a_table_of_another_version_is_refused() {
    let mut table = resolve(preset, None, &[]).unwrap().table;
    table.remove("flip");
    let error = read::<Config>(&table).unwrap_err();
    assert!(
        error.to_string().contains("missing field `flip`"),
        "{error}"
    );
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn a_config_file_that_is_not_there_is_named() {
    let error = resolve(preset, Some(Path::new("absent.toml")), &[]).unwrap_err();
    assert!(error.to_string().contains("absent.toml"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

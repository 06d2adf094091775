use burn::data::dataset::Dataset;

use super::*;
use crate::instruction::{IMAGE, Role};
use crate::{At, Split};

/// A folder with two pictures, of which nothing is decoded here, and files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("photos")).unwrap();
    for name in ["a.png", "photos/b.png"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn conversations(data: &InstructionData, split: Split) -> Vec<Conversation> {
    let samples = data.split(split);
    (0..samples.len())
        .map(|i| samples.get(i).unwrap())
        .collect()
}

/// Everything, in the order of the splits.
fn all(folder: &tempfile::TempDir) -> Vec<Conversation> {
    let data = scan("test", folder.path()).unwrap().sound("test").unwrap();
    let all = Split::ALL.map(|split| conversations(&data, split));
    let mut all = all.concat();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    all
}

fn said(conversation: &Conversation) -> Vec<(Role, &str)> {
    let turns = conversation.turns.iter();
    turns.map(|turn| (turn.role, turn.text.as_str())).collect()
}

use Role::{Assistant, System, User};

const ALPACA: &str =
    r#"{"id": 1, "instruction": "Add.", "input": " 1 and 2 ", "output": "3\n", "other": []}"#;
const LLAVA: &str = r#"{"id": "2", "image": "a.png", "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]}"#;
const SEVERAL: &str = r#"{"id": "3", "image": ["a.png", "./photos/b.png"], "conversations": [{"from": "user", "value": "<image><image>"}, {"from": "assistant", "value": "Two <image>."}]}"#;
const OPENAI: &str = r#"{"id": "4", "images": ["photos/b.png"], "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is <image> a tag?"}]}, {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]}, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}"#;
const NAMED: &str = r#"{"id": "5", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "image", "path": "photos/b.png"}]}, {"role": "assistant", "content": "Both."}]}"#;

fn expect_all(all: &[Conversation]) {
    let at = |conversation: &Conversation| conversation.place.as_ref().map(|place| place.at);
    assert!(
        all.iter().all(|conversation| {
            matches!(at(conversation), Some(At::Line(_) | At::Record { .. }))
        })
    );
    let [alpaca, llava, several, openai, named] = all else {
        panic!("{} conversations", all.len());
    };
    assert_eq!(said(alpaca), [(User, "Add.\n\n1 and 2"), (Assistant, "3")]);
    let expected = [
        (System, "Be brief."),
        (User, "<image>\nWhat?"),
        (Assistant, "A cat."),
    ];
    assert_eq!(said(llava), expected);
    assert_eq!(
        said(several),
        [(User, "<image><image>"), (Assistant, "Two <image>.")]
    );
    assert_eq!(several.images.len(), 2);
    assert!(several.images[1].name().ends_with("./photos/b.png"));
    // The mark is the picture's; what is typed is text.
    let turns = &openai.turns;
    assert!(
        turns.len() == 4 && turns[0].text.starts_with("<image>\nIs "),
        "{turns:?}"
    );
    assert_eq!(turns[0].text.matches(IMAGE).count(), 1);
    assert_eq!(
        said(named),
        [(User, "<image>\n<image>"), (Assistant, "Both.")]
    );
    assert!(named.images[1].name().ends_with("photos/b.png"));
}

#[test]
fn all_forms_are_read_from_lines_and_from_an_array() {
    let records = [ALPACA, LLAVA, SEVERAL, OPENAI, NAMED];
    expect_all(&all(&folder(&[("train.jsonl", &records.join("\n"))])));
    let array = format!("\u{feff} [{}]\n", records.join(" ,\n"));
    expect_all(&all(&folder(&[("data.json", &array)])));
    let pretty: Vec<serde_json::Value> =
        serde_json::from_str(array.trim_start_matches('\u{feff}')).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    expect_all(&all(&folder(&[("train.json", &pretty)])));
}

#[test]
fn splits_are_files_or_cut_by_picture() {
    let line = |id: usize, picture: usize| {
        format!(
            r#"{{"id": {id}, "image": "{picture}.png", "messages": [{{"role": "user", "content": "<image>"}}, {{"role": "assistant", "content": "{id}"}}]}}"#
        )
    };
    let lines: Vec<String> = (0..300).map(|id| line(id, id / 3)).collect();
    let cut = folder(&[("train.jsonl", &lines.join("\n"))]);
    for picture in 0..100 {
        std::fs::write(cut.path().join(format!("{picture}.png")), "x").unwrap();
    }
    let data = scan("test", cut.path()).unwrap().sound("test").unwrap();
    let mut of_picture = HashMap::new();
    for split in Split::ALL {
        let found = conversations(&data, split);
        assert!(found.len() >= 9, "{split}: {}", found.len());
        for conversation in found {
            let first = of_picture
                .entry(conversation.images[0].name())
                .or_insert(split);
            assert_eq!(*first, split);
        }
    }
    let files = folder(&[
        ("train.jsonl", ALPACA),
        ("valid.jsonl", LLAVA),
        ("test.jsonl", SEVERAL),
    ]);
    let data = scan("test", files.path()).unwrap().sound("test").unwrap();
    let ids = Split::ALL.map(|split| conversations(&data, split)[0].id.clone());
    assert_eq!(ids, ["1", "2", "3"]);
    let other = folder(&[
        ("train.jsonl", LLAVA),
        ("valid.jsonl", ALPACA),
        ("test.jsonl", SEVERAL),
    ]);
    let other = scan("test", other.path()).unwrap().sound("test").unwrap();
    assert_ne!(data.digest, other.digest);
}

#[test]
fn ids_are_unique_and_name_lines_where_there_are_none() {
    let nameless = r#"{"instruction": "a", "output": "b"}"#;
    let lines = [LLAVA, nameless, LLAVA, nameless].join("\n");
    let ids: Vec<String> = all(&folder(&[("x.jsonl", &lines)]))
        .into_iter()
        .map(|c| c.id)
        .collect();
    assert_eq!(ids, ["2", "2 (x.jsonl:3)", "x.jsonl:2", "x.jsonl:4"]);
}

/// Reads a file whose third line is `record`, with good ones around it, and returns the only problem.
fn refusal_of(record: &str) -> String {
    let lines = format!("{ALPACA}\n\n{record}\n{LLAVA}\n");
    let array = format!("[{ALPACA},\n\n{record},\n{LLAVA}]");
    let mut refusals = Vec::new();
    for (name, content) in [("train.jsonl", lines), ("train.json", array)] {
        let folder = folder(&[(name, &content)]);
        let scan = scan("test", folder.path()).unwrap();
        assert_eq!(
            scan.problems.count, 1,
            "{record}: {:?}",
            scan.problems.first
        );
        let kept: usize = Split::ALL
            .iter()
            .map(|split| scan.data.split(*split).len())
            .sum();
        assert_eq!(kept, 2, "{record}");
        let problem = scan.problems.first[0].to_string();
        let file = folder.path().join(name).display().to_string();
        let record = if name.ends_with("l") {
            ""
        } else {
            ", record 2"
        };
        let place = format!("{file}:3{record}: ");
        assert!(problem.contains(&place), "{problem}");
        assert!(problem.contains("; "), "no remedy: {problem}");
        let problem = problem
            .replace(&place, "")
            .replace("the line has", "the record has");
        refusals.push(problem.replace(&folder.path().display().to_string(), ""));
        assert!(scan.sound("test").is_err());
    }
    assert_eq!(refusals[0], refusals[1]);
    refusals.remove(0)
}

#[test]
fn records_that_are_no_conversation_are_refused_with_file_and_line() {
    let turns = |turns: &[(&str, &str)]| {
        let turns = turns
            .iter()
            .map(|(role, text)| format!(r#"{{"from": "{role}", "value": "{text}"}}"#));
        format!(
            r#"{{"conversations": [{}]}}"#,
            turns.collect::<Vec<_>>().join(", ")
        )
    };
    let with = |image: &str, text: &str| {
        format!(
            r#"{{"image": {image}, "conversations": [{{"from": "human", "value": "{text}"}}, {{"from": "gpt", "value": "a"}}]}}"#
        )
    };
    let cases = [
        ("{}".into(), "neither `conversations` nor"),
        ("3".into(), "not a JSON object"),
        (r#"{"conversations": {}}"#.into(), "expected a sequence"),
        (r#"{"conversations": [{"from": "human"}]}"#.into(), "missing field `value`"),
        (r#"{"conversations": [], "messages": []}"#.into(), "more than one"),
        (r#"{"messages": [{"role": "user", "content": 3}]}"#.into(), "expected a text or a list"),
        (r#"{"instruction": "a", "output": 3}"#.into(), "expected a string"),
        (r#"{"instruction": " ", "output": "a"}"#.into(), "`instruction` is empty"),
        (r#"{"instruction": "a"}"#.into(), "`output` is empty"),
        (r#"{"id": [], "instruction": "a", "output": "b"}"#.into(), "`id` is []"),
        (turns(&[]), "no turns"),
        (turns(&[("human", "a"), ("bot", "b")]), "unknown role `bot`"),
        (turns(&[("human", "a"), ("gpt", " \\n ")]), "the assistant says nothing"),
        (turns(&[("human", "a"), ("human", "b"), ("gpt", "c")]), "turn 2 is the user's"),
        (turns(&[("gpt", "a")]), "turn 1 is the assistant's"),
        (turns(&[("human", "a"), ("system", "b"), ("gpt", "c")]), "turn 2 is the system's"),
        (turns(&[("human", "a"), ("gpt", "b"), ("human", "c")]), "last turn is not the assistant's"),
        (turns(&[("system", "a")]), "last turn is not the assistant's"),
        (turns(&[("human", "<image>"), ("gpt", "b")]), "1 `<image>` in what the user says, for 0"),
        (with("\"a.png\"", "what?"), "0 `<image>` in what the user says, for 1"),
        (with("[\"a.png\"]", "<image> <image>"), "2 `<image>` in what the user says, for 1"),
        (with("\"../a.png\"", "<image>"), "contains `..`"),
        (with("\"/etc/passwd\"", "<image>"), "absolute"),
        (with("\"none.png\"", "<image>"), "none.png"),
        (with("\"photos\"", "<image>"), "regular file"),
        (with("{}", "<image>"), "expected a path or a list of paths"),
        (
            r#"{"images": ["a.png"], "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "image", "image": "a.png"}]}, {"role": "assistant", "content": "x"}]}"#.into(),
            "1 of 2 picture parts have a path",
        ),
        (format!(r#"{{"instruction": "{}", "output": "a"}}"#, "x".repeat(2 << 20)), "1048576 bytes"),
    ];
    for (record, reason) in &cases {
        let refusal = refusal_of(record);
        assert!(refusal.contains(reason), "{reason}: {refusal:.300}");
    }
}

#[test]
fn an_array_that_breaks_off_is_told_with_its_line() {
    let broken: [(&str, &str, usize); 5] = [
        (&format!("[{ALPACA},\n{LLAVA},\n{{\"a\": "), ":3: EOF", 2),
        (
            &format!("[{ALPACA},\n{LLAVA}\n{SEVERAL}]"),
            ":3: expected `,` or `]`",
            2,
        ),
        (&format!("[{ALPACA}] {LLAVA}"), ":1: trailing characters", 1),
        (ALPACA, ":1: invalid type: map, expected an array", 0),
        ("", ":1: EOF", 0),
    ];
    for (json, reason, kept) in broken {
        let folder = folder(&[("data.json", json)]);
        let scan = scan("test", folder.path()).unwrap();
        let found: usize = Split::ALL
            .iter()
            .map(|split| scan.data.split(*split).len())
            .sum();
        assert_eq!((found, scan.problems.count), (kept, 1), "{json:.40}");
        let problem = scan.problems.first[0].to_string();
        assert!(problem.contains(reason), "{problem}");
    }
    let folder = folder(&[]);
    std::fs::write(folder.path().join("data.json"), b"[\"\xff\"]").unwrap();
    let error = scan("test", folder.path()).err().unwrap().to_string();
    assert!(
        error.contains("byte 2") && error.contains("UTF-8"),
        "{error}"
    );
}

#[test]
fn records_that_share_a_line_are_told_apart_by_their_number() {
    let record = r#"{"instruction": "a", "output": "b"}"#;
    let json = format!(r#"[{record}, {{"instruction": "a"}}, {record}]"#);
    let folder = folder(&[("train.json", &json)]);
    let scan = scan("test", folder.path()).unwrap();
    let problem = scan.problems.first[0].to_string();
    assert!(problem.contains("train.json:1, record 2: "), "{problem}");
    let splits = Split::ALL.into_iter().map(|split| scan.data.split(split));
    let ids = splits.flat_map(|split| (0..split.len()).map(|at| split.get(at).unwrap().id));
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    assert_eq!(ids, ["train.json:record-1", "train.json:record-3"]);
}

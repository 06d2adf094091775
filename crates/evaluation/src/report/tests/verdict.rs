//! The verdict says what the numbers say, and no more.

use super::*;

/// The sentences of a page, the first of which is set apart.
fn sentences(report: &CompareReport) -> Vec<String> {
    let html = report.html();
    check(&html);
    let Some((_, rest)) = html.split_once("<p class=\"verdict\">") else {
        return Vec::new();
    };
    let (lead, rest) = rest.split_once("</p>").unwrap();
    let findings = rest.trim_start().strip_prefix("<ul class=\"findings\">");
    let findings = findings.map_or("", |rest| rest.split_once("</ul>").unwrap().0);
    let plain = |html: &str| html.replace("<strong>", "").replace("</strong>", "");
    let findings = findings.split("<li>").skip(1);
    let findings = findings.map(|item| plain(item.trim_end().strip_suffix("</li>").unwrap()));
    std::iter::once(plain(lead)).chain(findings).collect()
}

fn of(arms: Vec<Arm>) -> Vec<String> {
    sentences(&comparison(arms))
}

const HIGH: [f64; 3] = [0.950, 0.951, 0.952];
const MIDDLE: [f64; 3] = [0.900, 0.901, 0.902];
const LOW: [f64; 3] = [0.850, 0.851, 0.852];
const WIDE: [f64; 3] = [0.90, 0.94, 0.98];

#[test]
fn a_clear_winner_is_named_with_what_it_beats() {
    assert_eq!(
        of(vec![arm("mid", &MIDDLE), arm("late", &HIGH), arm("early", &LOW)]),
        [
            "late is better than both others, by more than chance explains.",
            "Test accuracy of late: 95.10% on average over three seeds; next mid with 90.10%, last early with 85.10%.",
            "After Holm&#39;s correction over 3 pairs, late is better than mid and early. Of all 3 differences three \
             hold, by a procedure that claims anything false in at most 5% of such studies.",
            "To choose: late, at 1 min 01 s of training.",
            "With three seeds a difference of less than 0.52 points might well go unseen.",
        ]
        .map(|text| text.replace("&#39;", "'"))
    );
    assert_eq!(
        of(vec![arm("mid", &MIDDLE), arm("late", &HIGH)])[0],
        "late is better than mid, by more than chance explains."
    );
}

#[test]
fn a_tie_at_the_top_is_no_win_and_the_cheapest_of_it_is_named() {
    let mut arms = vec![arm("mid", &WIDE), arm("late", &HIGH), arm("early", &LOW)];
    for (arm, flops) in arms.iter_mut().zip([10e6, 25e6, 1e6]) {
        arm.flops = Some(flops);
    }
    let seen = of(arms);
    assert_eq!(
        seen[0],
        "late came out best, but mid cannot be told apart from it."
    );
    assert!(
        seen[2].contains(
            "late is better than early; it cannot be told apart from mid. Of all 3 differences"
        ),
        "{seen:?}"
    );
    // The cheapest arm of all is not among those to choose from.
    assert_eq!(
        seen[3],
        "To choose: the cheapest of those that cannot be told apart from the best is mid, at 10.0 MFLOPs a forward \
         pass against 25.0 MFLOPs for late, but it came out 1.1 points lower: not to be told apart is no proof of being as good. Cheaper still is early, at 1.00 MFLOPs, but it is 10.0 points behind."
    );
    assert!(
        seen.last().unwrap().starts_with(
            "The arms were not given equal budgets (from 1.00 MFLOPs to 25.0 MFLOPs a forward pass)"
        ),
        "{seen:?}"
    );
}

#[test]
fn an_arm_that_is_hardly_cheaper_is_no_reason() {
    let mut arms = vec![arm("mid", &WIDE), arm("late", &HIGH)];
    for (arm, flops) in arms.iter_mut().zip([9.8e6, 10e6]) {
        arm.flops = Some(flops);
    }
    assert_eq!(
        of(arms)[3],
        "To choose: late, at 10.0 MFLOPs a forward pass; none of those that cannot be told apart from it is more than \
         5% cheaper."
    );
}

#[test]
fn differences_that_may_all_be_chance_are_called_so() {
    let seen = of(vec![
        arm("a", &[0.90, 0.95, 0.91]),
        arm("b", &[0.94, 0.96, 0.90]),
        arm("c", &[0.91, 0.92, 0.95]),
    ]);
    assert_eq!(
        seen[0],
        "No arm can be told apart from any other: the differences may all be chance."
    );
    assert!(
        seen[2].contains("None of the 3 differences holds"),
        "{seen:?}"
    );
    assert!(seen[2].ends_with("That is no proof that they are equal."));
    assert_eq!(
        of(vec![arm("a", &[0.90, 0.95]), arm("b", &[0.94, 0.96])])[0],
        "b and a cannot be told apart."
    );
}

#[test]
fn one_seed_says_nothing_about_strategies() {
    let seen = of(vec![arm("a", &[0.9]), arm("b", &[0.8])]);
    assert_eq!(
        seen[0],
        "One seed each: nothing can be said about which strategy is better."
    );
    assert_eq!(
        seen[1..],
        [
            "Test accuracy of a: 90.00% with its one seed; next b with 80.00%.",
            "Between single runs of two strategies lies the luck of the seed as well as the strategy: run at least \
             three seeds each to tell them apart.",
        ]
    );
    let seen = of(vec![arm("a", &[0.9]), arm("b", &HIGH), arm("c", &LOW)]);
    assert_eq!(
        seen[0],
        "b is better than c, by more than chance explains; a could not be tested."
    );
}

#[test]
fn arms_without_any_spread_are_not_tested() {
    let seen = of(vec![arm("a", &[0.9, 0.9]), arm("b", &[0.8, 0.8])]);
    assert_eq!(
        seen[0],
        "a came out best, and nothing can be said about chance."
    );
    assert!(
        seen[2].starts_with("The seeds of an arm do not differ at all"),
        "{seen:?}"
    );
    let seen = of(vec![
        arm("a", &HIGH),
        arm("b", &WIDE),
        arm("c", &LOW),
        arm("d", &[0.9]),
    ]);
    assert_eq!(
        seen[0],
        "a came out best, but b cannot be told apart from it."
    );
    assert!(
        seen[2].ends_with("such studies. Not tested: d."),
        "{seen:?}"
    );
}

#[test]
fn equal_arms_are_called_equal() {
    let seen = of(vec![
        arm("a", &[0.9, 0.9]),
        arm("b", &[0.9, 0.9]),
        arm("c", &[0.9, 0.9]),
    ]);
    assert_eq!(seen[0], "All three arms came out the same.");
    assert!(!seen.concat().contains("better"), "{seen:?}");
}

#[test]
fn what_failed_is_said_and_not_ranked() {
    let mut report = comparison(vec![
        arm("a", &HIGH),
        arm("b", &[0.99, f64::NAN, 0.99]),
        arm("c", &LOW),
        arm("d", &[]),
    ]);
    report.failed = vec!["d, seed 0: out of memory".into()];
    let seen = sentences(&report);
    assert_eq!(seen[0], "a is better than c, by more than chance explains.");
    assert_eq!(
        seen[seen.len() - 2..],
        [
            "Not in the ranking, as a seed gave no finite value: b and d.",
            "One run did not get to its end: d, seed 0: out of memory.",
        ]
    );
    assert_eq!(
        of(vec![arm("b", &[f64::NAN])])[0],
        "Nothing can be compared: no arm has a result."
    );
    assert_eq!(
        of(vec![arm("a", &[0.9, 0.9])])[0],
        "Only a has a result: there is nothing to compare it with."
    );
    assert_eq!(of(Vec::new()), Vec::<String>::new());
}

#[test]
fn a_loss_is_better_when_it_is_less() {
    let mut report = comparison(vec![arm("a", &HIGH), arm("b", &LOW)]);
    report.metric.less_is_better = true;
    let seen = sentences(&report);
    assert_eq!(seen[0], "b is better than a, by more than chance explains.");
    assert!(seen[1].ends_with("(less is better)."));
}

#[test]
fn many_names_are_counted_and_a_matched_budget_is_told() {
    let labels: Vec<String> = (0..12).map(|index| format!("arm-{index}")).collect();
    let arms = labels.iter().enumerate().map(|(index, label)| {
        let shift = if index == 0 { 0.05 } else { 0.0 };
        arm(label, &LOW.map(|value| value + shift))
    });
    let mut report = comparison(arms.collect());
    report.budget = Some("All arms have 812,345 parameters.".into());
    let seen = sentences(&report);
    assert_eq!(
        seen[0],
        "arm-0 is better than all 11 others, by more than chance explains."
    );
    assert!(
        seen[2].contains("arm-0 is better than arm-1, arm-2, arm-3, arm-4, arm-5 and six others."),
        "{seen:?}"
    );
    assert_eq!(seen.last().unwrap(), "All arms have 812,345 parameters.");
}

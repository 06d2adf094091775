//! The command and the digest of every run, to repeat it and to see that it is the same.

use super::super::number;
use super::super::page::{escape, table};
use super::CompareReport;
use super::standing::Standing;
use crate::table::Align;

impl CompareReport {
    /// The table; nothing if no run has a command or a digest.
    pub(super) fn repeat(&self, standing: &Standing) -> String {
        let mut rows = Vec::new();
        for (_, ranked) in standing.all() {
            for (index, run) in ranked.arm.runs.iter().enumerate() {
                let command = ranked.arm.commands.get(index).map_or("", String::as_str);
                if command.is_empty() && run.digest.is_empty() {
                    continue;
                }
                let value = run.test.get(&self.metric.key).copied();
                rows.push(vec![
                    escape(&ranked.arm.label),
                    run.seed.to_string(),
                    value.map_or_else(
                        || number::NONE.to_owned(),
                        |value| self.metric.axis.format(value),
                    ),
                    format!("<code>{}</code>", escape(&run.digest)),
                    format!("<code>{}</code>", escape(command)),
                ]);
            }
        }
        if rows.is_empty() {
            return String::new();
        }
        let columns = [
            ("Arm", Align::Left),
            ("Seed", Align::Right),
            (self.metric.label.as_str(), Align::Right),
            ("Digest", Align::Left),
            ("Command", Align::Left),
        ];
        let note = "The digest is that of the predictions of the test split: on the same machine and backend the same \
                    command gives the same digest. `crucible repro` with the folder of a run trains it again and compares.";
        let runs = number::count(rows.len() as u64);
        let table = table("Commands", note, &columns, &rows);
        format!(
            "<details class=\"inner\"><summary>Command and digest of each of {runs} runs</summary>\n{table}</details>\n"
        )
    }
}

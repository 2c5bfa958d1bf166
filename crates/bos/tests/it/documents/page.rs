//! The blocks of shell commands on a page.

/// The pages whose commands are run.
const PAGES: [(&str, &str); 3] = [
    ("README.md", include_str!("../../../../../README.md")),
    ("docs/operations.md", include_str!("../../../../../docs/operations.md")),
    ("docs/reliability.md", include_str!("../../../../../docs/reliability.md")),
];

/// A block of shell commands.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) page: &'static str,
    /// The heading that it stands under.
    pub(super) heading: String,
    pub(super) commands: String,
}

impl Block {
    /// Whether our program is among the commands.
    pub(super) fn runs_bos(&self) -> bool {
        let code = self.commands.lines().map(|line| line.split(" #").next().unwrap_or_default().trim_start());
        let mut code = code.filter(|line| !line.starts_with('#'));
        code.any(|line| line.split([' ', '(']).any(|word| word == "bos"))
    }
}

/// The blocks of all pages, in their order.
pub(super) fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (page, text) in PAGES {
        let mut heading = "";
        let mut commands: Option<String> = None;
        for line in text.lines() {
            match &mut commands {
                None if line == "```sh" => commands = Some(String::new()),
                None => {
                    if line.starts_with('#') {
                        heading = line.trim_start_matches('#').trim();
                    }
                }
                Some(_) if line == "```" => {
                    let commands = commands.take().unwrap_or_default();
                    blocks.push(Block { page, heading: heading.to_owned(), commands });
                }
                Some(commands) => {
                    commands.push_str(line);
                    commands.push('\n');
                }
            }
        }
    }
    blocks
}

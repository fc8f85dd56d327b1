//! The page on the command line, `docs/command-line.md`, made of what clap knows of it. A test holds the page equal to this.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::Arguments;

const BEGINNING: &str = "# The command line

This page is made of the program's own help by `parallax reference`; a test holds them equal. `parallax help COMMAND` says the same in a
terminal. Exit codes: 0 done, 2 usage, 3 bad input, 4 cancelled (what was found is kept), 1 otherwise.
";

/// Options that several commands have, and how the page calls them: each is what two commands have in common, but for what stands before it.
const SHARED: [(&str, [&str; 2]); 3] = [
    ("Which scan", ["prepare", "predict"]),
    ("Where it computes", ["predict", "audit"]),
    ("What is written", ["explain", "demo"]),
];

/// The whole page.
pub fn reference() -> String {
    let mut program = Arguments::command();
    program.build();
    let mut page = BEGINNING.to_owned();
    let shared = shared(&program);
    section(&mut page, &program, "parallax", &shared);
    for command in shown(&program) {
        let name = format!("parallax {}", command.get_name());
        section(&mut page, command, &name, &shared);
        for inner in shown(command) {
            section(&mut page, inner, &format!("{name} {}", inner.get_name()), &shared);
        }
    }
    for Shared { title, args } in &shared {
        // A write to a String does not fail.
        write!(page, "\n## {title}\n\n").ok();
        page.extend(args.iter().map(row));
    }
    page
}

/// Commands that people are told of.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set())
}

/// Options that mean the same wherever they stand.
struct Shared {
    title: &'static str,
    args: Vec<Arg>,
}

impl Shared {
    fn has(&self, arg: &Arg) -> bool {
        self.args.iter().any(|other| is_same(other, arg))
    }

    /// Whether the command has all of them: one that has some lists them itself.
    fn is_whole_in(&self, command: &Command) -> bool {
        self.args.iter().all(|arg| command.get_arguments().any(|other| is_same(other, arg)))
    }
}

fn is_same(one: &Arg, other: &Arg) -> bool {
    let help = |arg: &Arg| arg.get_help().map(ToString::to_string);
    one.get_id() == other.get_id() && help(one) == help(other)
}

/// What a reader is told of: not how help is asked for.
fn arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
}

fn shared(program: &Command) -> Vec<Shared> {
    let mut all: Vec<Shared> = Vec::new();
    for (title, names) in SHARED {
        let [Some(one), Some(other)] = names.map(|name| program.find_subcommand(name)) else { continue };
        let is_common = |arg: &&Arg| !arg.is_positional() && arguments(other).any(|beside| is_same(beside, arg));
        let args = arguments(one).filter(is_common).filter(|arg| !all.iter().any(|before| before.has(arg)));
        let args = args.cloned().collect();
        all.push(Shared { title, args });
    }
    all
}

fn section(page: &mut String, command: &Command, name: &str, shared: &[Shared]) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let about = if name == "parallax" { "Opens the window".to_owned() } else { about };
    let positional = arguments(command).filter(|arg| arg.is_positional()).map(|arg| {
        let value = values(arg);
        if arg.is_required_set() { value } else { format!("[{value}]") }
    });
    let needed = arguments(command).filter(|arg| !arg.is_positional() && arg.is_required_set()).map(flag);
    let usage = std::iter::once(name.to_owned()).chain(positional).chain(needed).collect::<Vec<_>>().join(" ");
    let whole: Vec<&Shared> = shared.iter().filter(|shared| shared.is_whole_in(command)).collect();
    let also: Vec<String> = whole.iter().map(|shared| shared.title.to_lowercase()).collect();
    let also = if also.is_empty() { String::new() } else { format!(" Also: {}.", also.join(", ")) };
    // A write to a String does not fail.
    write!(page, "\n## {name}\n\n`{usage}`: {about}.{also}\n").ok();
    let own: Vec<String> =
        arguments(command).filter(|arg| !whole.iter().any(|shared| shared.has(arg))).map(row).collect();
    if !own.is_empty() {
        page.push('\n');
    }
    page.extend(own);
}

/// One line of a list.
fn row(arg: &Arg) -> String {
    let help = arg.get_help().map(|help| help.to_string().replace('|', "\\|")).unwrap_or_default();
    let choices: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let takes = arg.get_action().takes_values();
    let choices = if takes && !choices.is_empty() { format!(" One of {}.", choices.join(", ")) } else { String::new() };
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default =
        if takes && !default.is_empty() { format!(" [default: {}]", default.join(",")) } else { String::new() };
    let stop = if choices.is_empty() || help.is_empty() { "" } else { "." };
    format!("- `{}` {help}{stop}{choices}{default}\n", if arg.is_positional() { values(arg) } else { flag(arg) })
}

/// `--size AxBx...`, or `--json`.
fn flag(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_default();
    if arg.get_action().takes_values() { format!("--{long} {}", values(arg)) } else { format!("--{long}") }
}

fn values(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    if names.is_empty() { arg.get_id().to_string().to_uppercase() } else { names.join(" ") }
}

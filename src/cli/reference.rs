//! The page on the command line, `docs/command-line.md`, made of what clap knows of it. A test holds the page equal to this.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use super::Arguments;

const BEGINNING: &str = "# The command line

This page is made of the program's own help by `parallax reference`; a test holds them equal. `parallax help COMMAND` says the same in a
terminal. Exit codes: 0 done, 2 usage, 3 bad input, 4 cancelled (what was found is kept), 1 otherwise.
";

/// A group of options that several commands have, by the name of its struct, and how the page calls it.
const SHARED: [(&str, &str); 3] =
    [("ChoiceArgs", "Which scan"), ("ComputeArgs", "Where it computes"), ("OutputArgs", "What is written")];

/// The whole page.
pub fn reference() -> String {
    let mut program = Arguments::command();
    program.build();
    let mut page = BEGINNING.to_owned();
    let shared = shared(&program);
    let is_shared = |arg: &Arg| shared.iter().any(|(_, args)| args.iter().any(|other| other.get_id() == arg.get_id()));
    section(&mut page, &program, "parallax", &is_shared);
    for command in program.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        section(&mut page, command, &format!("parallax {}", command.get_name()), &is_shared);
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set()) {
            section(&mut page, inner, &format!("parallax {} {}", command.get_name(), inner.get_name()), &is_shared);
        }
    }
    for (title, args) in &shared {
        // A write to a String does not fail.
        write!(page, "\n## {title}\n\n").ok();
        args.iter().for_each(|arg| page.push_str(&row(arg)));
    }
    page
}

/// The options of [`SHARED`], each group from the first command that has it.
fn shared(program: &Command) -> Vec<(&'static str, Vec<Arg>)> {
    let group_of = |name: &str| {
        let commands = std::iter::once(program).chain(program.get_subcommands());
        let (command, group) = commands
            .filter_map(|command| Some((command, command.get_groups().find(|group| group.get_id() == name)?)))
            .next()?;
        let ids: BTreeSet<_> = group.get_args().collect();
        Some(command.get_arguments().filter(|arg| ids.contains(arg.get_id())).cloned().collect())
    };
    SHARED.into_iter().filter_map(|(name, title)| Some((title, group_of(name)?))).collect()
}

fn section(page: &mut String, command: &Command, name: &str, is_shared: &dyn Fn(&Arg) -> bool) {
    let args: Vec<&Arg> =
        command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str())).collect();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let about = if name == "parallax" { "Opens the window.".to_owned() } else { format!("{about}.") };
    let mut usage = String::from(name);
    args.iter().filter(|arg| arg.is_positional()).for_each(|arg| {
        let value = values(arg);
        usage += &if arg.is_required_set() { format!(" {value}") } else { format!(" [{value}]") };
    });
    args.iter().filter(|arg| !arg.is_positional() && arg.is_required_set()).for_each(|arg| {
        usage += &format!(" {}", flag(arg));
    });
    let also: Vec<&str> = SHARED
        .into_iter()
        .filter(|(group, _)| command.get_groups().any(|other| other.get_id() == *group))
        .map(|(_, title)| title)
        .collect();
    let also = if also.is_empty() { String::new() } else { format!(" Also: {}.", also.join(", ").to_lowercase()) };
    // A write to a String does not fail.
    write!(page, "\n## {name}\n\n`{usage}`: {about}{also}\n").ok();
    let own: Vec<&&Arg> = args.iter().filter(|arg| !is_shared(arg)).collect();
    if !own.is_empty() {
        page.push('\n');
    }
    own.into_iter().for_each(|arg| page.push_str(&row(arg)));
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

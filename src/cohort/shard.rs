//! Which part of a cohort one process computes.

use std::str::FromStr;

/// One of several parts that are as large as each other, to one case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 1.
    pub number: usize,
    pub of: usize,
}

impl Shard {
    /// All there is.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Whether it has the case at this place of the sorted list, counted from 0.
    pub fn has(self, place: usize) -> bool {
        place % self.of == self.number - 1
    }

    /// The shard of a task of a Slurm array, where this is one; `read` gives variables of the environment. Arrays may begin anywhere, and
    /// may step.
    pub fn of_slurm(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let number = |name: &str| {
            let text = read(name).filter(|text| !text.is_empty());
            let read = text
                .map(|text| text.parse::<usize>().map_err(|_no_number| format!("{name}={text} is no whole number")));
            read.transpose()
        };
        let Some(task) = number("SLURM_ARRAY_TASK_ID")? else { return Ok(None) };
        let Some(of) = number("SLURM_ARRAY_TASK_COUNT")? else { return Ok(None) };
        let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
        let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let place = task.checked_sub(first).filter(|place| place % step == 0).map(|place| place / step);
        match place.filter(|place| *place < of) {
            Some(place) => Ok(Some(Self { number: place + 1, of })),
            None => Err(format!(
                "task {task} of an array of {of} from {first} by {step} is no even part of a cohort; name the part by --shard"
            )),
        }
    }
}

impl FromStr for Shard {
    type Err = String;

    /// Reads "2/8".
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, of) = text.split_once('/').ok_or("want I/N, such as 1/8")?;
        let read = |part: &str| {
            part.trim()
                .parse::<usize>()
                .map_err(|_no_number| format!("{part:?} is no whole number; want I/N, such as 1/8"))
        };
        let (number, of) = (read(number)?, read(of)?);
        if number == 0 || number > of {
            return Err(format!("there is no shard {number} of {of}; they are counted from 1"));
        }
        Ok(Self { number, of })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slurm(set: &[(&str, &str)]) -> Result<Option<Shard>, String> {
        Shard::of_slurm(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn shards_share_all_cases_evenly() {
        let of = 4;
        let shards: Vec<Shard> = (1..=of).map(|number| Shard { number, of }).collect();
        let had = |place: usize| shards.iter().filter(|shard| shard.has(place)).count();
        assert!((0..23).all(|place| had(place) == 1));
        let sizes = shards.iter().map(|shard| (0..23).filter(|place| shard.has(*place)).count());
        assert_eq!(sizes.collect::<Vec<_>>(), [6, 6, 6, 5]);
    }

    #[test]
    fn a_shard_is_typed_or_told_by_slurm() {
        assert_eq!("2/8".parse(), Ok(Shard { number: 2, of: 8 }));
        for text in ["0/8", "9/8", "2", "a/8", "1/0", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!(slurm(&[]), Ok(None));
        let array = |id, min, step| {
            slurm(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", "4"),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_STEP", step),
            ])
        };
        assert_eq!(array("0", "0", "1"), Ok(Some(Shard { number: 1, of: 4 })));
        assert_eq!(array("7", "1", "2"), Ok(Some(Shard { number: 4, of: 4 })));
        assert!(array("7", "1", "1").is_err_and(|why| why.contains("--shard")));
        assert!(array("x", "1", "1").is_err_and(|why| why.contains("SLURM_ARRAY_TASK_ID")));
    }
}

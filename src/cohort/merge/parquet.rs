//! A table as Parquet: typed columns, any of whose cells may be empty, uncompressed, in one row group.

use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::table::{Cell, CellKind, Table};

/// The whole file.
pub(super) fn bytes(table: &Table) -> Result<Vec<u8>> {
    let field = |(name, kind): &(String, CellKind)| {
        let (physical, logical) = match kind {
            CellKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            CellKind::Number => (Physical::DOUBLE, None),
            CellKind::Whole => (Physical::INT64, None),
            CellKind::Truth => (Physical::BOOLEAN, None),
        };
        let field = Type::primitive_type_builder(name, physical);
        Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).with_logical_type(logical).build()?))
    };
    let fields = table.columns.iter().map(field).collect::<Result<Vec<_>>>()?;
    let schema = Arc::new(Type::group_type_builder("cases").with_fields(fields).build()?);
    let mut bytes = Vec::new();
    let mut file = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default()))?;
    let mut rows = file.next_row_group()?;
    for (at, (_, kind)) in table.columns.iter().enumerate() {
        let mut column = rows.next_column()?.context("the schema has as many columns as the table")?;
        let cells = || table.rows.iter().map(|row| &row[at]);
        match kind {
            CellKind::Text => write::<ByteArrayType>(&mut column, cells(), |cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_str())),
                _ => None,
            }),
            CellKind::Number => write::<DoubleType>(&mut column, cells(), |cell| match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            }),
            CellKind::Whole => write::<Int64Type>(&mut column, cells(), |cell| match cell {
                Cell::Whole(number) => Some(*number),
                _ => None,
            }),
            CellKind::Truth => write::<BoolType>(&mut column, cells(), |cell| match cell {
                Cell::Truth(truth) => Some(*truth),
                _ => None,
            }),
        }?;
        column.close()?;
    }
    rows.close()?;
    file.close()?;
    Ok(bytes)
}

fn write<'a, T: DataType>(
    column: &mut SerializedColumnWriter,
    cells: impl Iterator<Item = &'a Cell>,
    value: impl Fn(&Cell) -> Option<T::T>,
) -> Result<()> {
    let values: Vec<Option<T::T>> = cells.map(value).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let known: Vec<T::T> = values.into_iter().flatten().collect();
    column.typed::<T>().write_batch(&known, Some(&levels), None)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_cell_by_cell() {
        let kinds = [
            ("text", CellKind::Text),
            ("number", CellKind::Number),
            ("whole", CellKind::Whole),
            ("truth", CellKind::Truth),
        ];
        let table = Table {
            columns: kinds.map(|(name, kind)| (name.to_owned(), kind)).into(),
            rows: vec![
                vec!["=1+1, \"a\"".into(), 0.1.into(), 7_usize.into(), Cell::Truth(true)],
                vec![Cell::Nothing, Cell::Nothing, Cell::Nothing, Cell::Nothing],
            ],
        };
        let file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut &file, &bytes(&table).unwrap()).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().get_column_iter().map(|(_, field)| field.clone()).collect())
            .collect();
        let first = [Field::Str("=1+1, \"a\"".to_owned()), Field::Double(0.1), Field::Long(7), Field::Bool(true)];
        assert_eq!(rows, [first.to_vec(), vec![Field::Null; 4]]);
    }
}

//! The peer: tantivy as its documentation shows it, with the schema of the index.

use std::path::Path;

use driftlead_store::records::ErrorDocument;
use serde_json::Value;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::{AggContextParams, AggregationCollector};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::document::Value as _;
use tantivy::schema::{
    DateOptions, DateTimePrecision, FAST, Field, IndexRecordOption, JsonObjectOptions, OwnedValue, STORED, Schema, TextFieldIndexing,
    TextOptions,
};
use tantivy::tokenizer::{LowerCaser, RAW_TOKENIZER_NAME, RemoveLongFilter, SimpleTokenizer, TextAnalyzer};
use tantivy::{DateTime, Index, IndexReader, IndexWriter, Order, TantivyDocument, Term};

const ANALYZER: &str = "words";
const NAMES: [&str; 9] = [
    "severity",
    "service",
    "model",
    "version",
    "environment",
    "trace_id",
    "span_id",
    "error_type",
    "pattern_id",
];
const FACETS: [&str; 7] = ["model", "version", "service", "environment", "severity", "error_type", "pattern_id"];

/// An index of its own.
pub struct Plain {
    writer: IndexWriter,
    schema: Schema,
    made: u64,
}

fn schema() -> Schema {
    let indexing = |tokenizer: &str, option| {
        TextFieldIndexing::default()
            .set_tokenizer(tokenizer)
            .set_fieldnorms(false)
            .set_index_option(option)
    };
    let words = TextOptions::default().set_indexing_options(indexing(ANALYZER, IndexRecordOption::WithFreqsAndPositions));
    let id = TextOptions::default().set_fast(RAW_TOKENIZER_NAME);
    let name = id
        .clone()
        .set_indexing_options(indexing(RAW_TOKENIZER_NAME, IndexRecordOption::Basic));
    let json = JsonObjectOptions::default()
        .set_expand_dots_enabled()
        .set_fast(RAW_TOKENIZER_NAME)
        .set_indexing_options(indexing(ANALYZER, IndexRecordOption::WithFreqsAndPositions));
    let mut schema = Schema::builder();
    schema.add_date_field(
        "ts",
        DateOptions::default().set_fast().set_precision(DateTimePrecision::Nanoseconds),
    );
    schema.add_u64_field("sequence", FAST);
    schema.add_text_field("message", words.clone());
    schema.add_text_field("stack", words.clone());
    schema.add_text_field("names", words);
    schema.add_json_field("attributes", json);
    schema.add_text_field("source", STORED);
    for field in NAMES {
        let is_id = matches!(field, "trace_id" | "span_id");
        schema.add_text_field(field, if is_id { id.clone() } else { name.clone() });
    }
    schema.build()
}

fn open(index: &Index) {
    let analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(256))
        .filter(LowerCaser)
        .build();
    index.tokenizers().register(ANALYZER, analyzer);
}

impl Plain {
    /// A new index in a folder, with one thread that writes.
    pub fn create(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let schema = schema();
        let index = Index::create_in_dir(folder, schema.clone()).unwrap();
        open(&index);
        Self {
            writer: index.writer_with_num_threads(1, 50_000_000).unwrap(),
            schema,
            made: 0,
        }
    }

    /// Writes an error.
    pub fn add(&mut self, error: &ErrorDocument) {
        let field = |name: &str| self.schema.get_field(name).unwrap();
        let mut document = TantivyDocument::default();
        document.add_date(field("ts"), DateTime::from_timestamp_nanos(error.time.0));
        document.add_u64(field("sequence"), self.made);
        document.add_text(field("message"), &error.message);
        document.add_text(field("stack"), &error.stack);
        let names = [
            &error.severity,
            &error.service,
            &error.model,
            &error.version,
            &error.environment,
            &error.trace_id,
            &error.span_id,
            &error.error_type,
        ];
        for (name, value) in NAMES.into_iter().zip(names) {
            document.add_text(field(name), value);
        }
        for name in [&error.error_type, &error.service, &error.model] {
            document.add_text(field("names"), name);
        }
        let attributes = error.attributes.iter().map(|(name, value)| (name.clone(), owned(value)));
        document.add_object(field("attributes"), attributes.collect());
        document.add_text(field("source"), source(error));
        self.writer.add_document(document).unwrap();
        self.made += 1;
    }

    /// Commits, and waits for merges.
    pub fn finish(mut self) {
        self.writer.commit().unwrap();
        self.writer.wait_merging_threads().unwrap();
    }
}

fn owned(value: &Value) -> OwnedValue {
    match value {
        Value::String(text) => OwnedValue::Str(text.clone()),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => OwnedValue::I64(whole),
            None => OwnedValue::F64(number.as_f64().unwrap()),
        },
        other => panic!("{other} is not made up"),
    }
}

fn source(error: &ErrorDocument) -> String {
    serde_json::json!({
        "time": error.time.0, "severity": error.severity, "service": error.service, "model": error.model, "version": error.version,
        "environment": error.environment, "trace_id": error.trace_id, "span_id": error.span_id, "error_type": error.error_type,
        "message": error.message, "stack": error.stack, "attributes": error.attributes,
    })
    .to_string()
}

/// The files of the product's index, read without the product.
pub struct Reader {
    days: Vec<IndexReader>,
    schema: Schema,
}

/// What a search looks for.
pub struct Wanted<'a> {
    /// Words that all have to be in message, stack or names.
    pub words: Vec<&'a str>,
    /// Event times in nanoseconds.
    pub range: Option<(i64, i64)>,
}

impl Reader {
    /// Opens all days of a folder.
    pub fn open(folder: &Path) -> Self {
        let mut days = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.join("meta.json").exists() {
                let index = Index::open_in_dir(&path).unwrap();
                open(&index);
                days.push(index.reader().unwrap());
            }
        }
        Self { days, schema: schema() }
    }

    /// The newest 20 with their documents, the counts of the facets and a histogram of 120 steps; how many there are.
    pub fn search(&self, wanted: &Wanted<'_>, step_s: i64) -> usize {
        let query = self.query(wanted);
        let mut request = serde_json::Map::new();
        for facet in FACETS {
            request.insert(facet.into(), serde_json::json!({"terms": {"field": facet, "size": 20}}));
        }
        let steps = serde_json::json!({"date_histogram": {"field": "ts", "fixed_interval": format!("{step_s}s")}});
        request.insert("steps".into(), steps);
        let request: Aggregations = serde_json::from_value(Value::Object(request)).unwrap();
        let source = self.schema.get_field("source").unwrap();
        let mut total = 0;
        for day in &self.days {
            let searcher = day.searcher();
            let newest = TopDocs::with_limit(20).order_by_fast_field::<DateTime>("ts", Order::Desc);
            let facets = AggregationCollector::from_aggs(request.clone(), AggContextParams::new(Default::default(), Default::default()));
            let (hits, counts, found) = searcher.search(&query, &(newest, facets, Count)).unwrap();
            for (_, address) in hits {
                let document: TantivyDocument = searcher.doc(address).unwrap();
                let text = document.get_first(source).and_then(|value| value.as_str()).unwrap();
                std::hint::black_box(serde_json::from_str::<Value>(text).unwrap());
            }
            std::hint::black_box(serde_json::to_string(&counts).unwrap());
            total += found;
        }
        total
    }

    fn query(&self, wanted: &Wanted<'_>) -> BooleanQuery {
        let fields: Vec<Field> = ["message", "stack", "names"]
            .map(|name| self.schema.get_field(name).unwrap())
            .to_vec();
        let word = |word: &str| -> Box<dyn Query> {
            let terms = fields
                .iter()
                .map(|field| -> Box<dyn Query> { Box::new(TermQuery::new(Term::from_field_text(*field, word), IndexRecordOption::Basic)) });
            Box::new(BooleanQuery::union(terms.collect()))
        };
        let mut parts: Vec<Box<dyn Query>> = wanted.words.iter().map(|text| word(text)).collect();
        if let Some((from, to)) = wanted.range {
            let ts = self.schema.get_field("ts").unwrap();
            let end = |time| Term::from_field_date(ts, DateTime::from_timestamp_nanos(time));
            parts.push(Box::new(RangeQuery::new(
                std::ops::Bound::Included(end(from)),
                std::ops::Bound::Excluded(end(to)),
            )));
        }
        BooleanQuery::intersection(parts)
    }
}

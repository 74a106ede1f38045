//! Which attributes hold the texts that models read and write, and what is kept of a text when the text
//! itself is not: its length and a hash.

use xxhash_rust::xxh3::xxh3_64;

/// Ends the name of the attribute that holds a text's length in characters.
pub(crate) const LENGTH_SUFFIX: &str = ".length";
/// Ends the name of the attribute that holds a text's hash.
pub(crate) const HASH_SUFFIX: &str = ".hash";

/// Texts that a model reads, most telling name first.
pub(crate) const INPUT_TEXTS: [&str; 6] = [
    "ml.input.text",
    "input.value",
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "embedding.text",
    "traceloop.entity.input",
];
/// Texts that a model writes, most telling name first.
pub(crate) const OUTPUT_TEXTS: [&str; 4] = [
    "output.value",
    "gen_ai.output.messages",
    "gen_ai.completion",
    "traceloop.entity.output",
];

const OTHER_TEXTS: [&str; 11] = [
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.evaluation.explanation",
    "llm.prompt_template.template",
    "llm.prompt_template.variables",
    "llm.prompts",
    "llm.input_messages",
    "llm.output_messages",
    "gen_ai.event.content",
    "reranker.query",
];

/// Names under which instrumentations flatten messages, such as `llm.input_messages.0.message.content`, or nest
/// them.
const FLATTENED: [&str; 8] = [
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "embedding.embeddings.",
    "retrieval.documents.",
    "reranker.",
];
/// Last parts of flattened names that hold text; the others are roles, ids and vectors.
const FLATTENED_TEXT: [&str; 4] = ["content", "text", "arguments", "prompt_text"];

/// Log events whose body is a message of a conversation.
const MESSAGE_EVENTS: [&str; 7] = [
    "gen_ai.system.message",
    "gen_ai.user.message",
    "gen_ai.assistant.message",
    "gen_ai.tool.message",
    "gen_ai.choice",
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
];

/// What tells services, models, versions and requests apart. Two of them that became one would be counted as one.
const IDENTITIES: [&str; 17] = [
    "service.name",
    "service.namespace",
    "service.version",
    "service.instance.id",
    "deployment.environment.name",
    "deployment.environment",
    "ml.model.name",
    "ml.model.version",
    "ml.request.id",
    "ml.segment",
    "ml.arm",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.id",
    "llm.model_name",
    "embedding.model_name",
    "event.name",
];

/// Whether an attribute of this name tells services, models, versions or requests apart.
pub(crate) fn is_identity(name: &str) -> bool {
    IDENTITIES.contains(&name)
}

/// Whether an attribute of this name holds a text that a model read or wrote.
pub(crate) fn is_text_attribute(name: &str) -> bool {
    if !matches!(name.as_bytes().first(), Some(b'm' | b'i' | b'o' | b'g' | b'l' | b'e' | b't' | b'r')) {
        return false;
    }
    INPUT_TEXTS.contains(&name) || OUTPUT_TEXTS.contains(&name) || OTHER_TEXTS.contains(&name) || is_flattened_text(name)
}

/// Whether a name may be the end of that of a text, whatever path leads to it. May say yes too often.
pub(crate) fn may_end_text_name(name: &str) -> bool {
    let end = last_part(name);
    let ends = |known: &[&str]| known.iter().any(|known| last_part(known) == end);
    FLATTENED_TEXT.contains(&end) || ends(&INPUT_TEXTS) || ends(&OUTPUT_TEXTS) || ends(&OTHER_TEXTS)
}

/// Whether the body of a log record with this event name is such a text.
pub(crate) fn is_message_event(event_name: &str) -> bool {
    MESSAGE_EVENTS.contains(&event_name)
}

/// What is kept of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextFacts {
    /// Characters.
    pub length: u64,
    /// XXH3 of the text, 16 hex digits.
    pub hash: String,
}

impl TextFacts {
    pub(crate) fn of(text: &str) -> Self {
        Self {
            length: text.chars().count() as u64,
            hash: format!("{:016x}", xxh3_64(text.as_bytes())),
        }
    }
}

fn is_flattened_text(name: &str) -> bool {
    FLATTENED.iter().any(|prefix| name.starts_with(prefix)) && FLATTENED_TEXT.contains(&last_part(name))
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_what_describes_them() {
        for name in [
            "ml.input.text",
            "input.value",
            "output.value",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "llm.input_messages.0.message.content",
            "llm.output_messages.12.message.tool_calls.0.tool_call.function.arguments",
            "gen_ai.prompt.0.content",
            "embedding.embeddings.0.embedding.text",
            "retrieval.documents.3.document.content",
            "reranker.query",
            "reranker.input_documents.0.document.content",
            "llm.input_messages",
            "llm.output_messages",
            "gen_ai.event.content",
        ] {
            assert!(is_text_attribute(name) && may_end_text_name(name), "{name}");
        }
        for name in [
            "",
            "ml.model.name",
            "ml.input.text.length",
            "ml.input.text.hash",
            "input.mime_type",
            "llm.input_messages.0.message.role",
            "embedding.embeddings.0.embedding.vector",
            "gen_ai.usage.input_tokens",
            "reranker.model_name",
            "reranker.top_k",
            "http.request.content",
        ] {
            assert!(!is_text_attribute(name), "{name}");
        }
    }

    #[test]
    fn length_counts_characters() {
        let facts = TextFacts::of("Приве́т");
        assert_eq!(facts.length, 7);
        assert_eq!(facts.hash.len(), 16);
        assert_ne!(facts.hash, TextFacts::of("привет").hash);
    }
}

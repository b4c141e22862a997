#include "text/generator_rows.h"

#include <algorithm>

#include "base/require.h"
#include "text/token_bytes.h"

namespace sartor::text {
namespace {

using datasets::Content;

int32_t as_int32(int64_t bytes) { return static_cast<int32_t>(std::min<int64_t>(bytes, INT32_MAX)); }

// Number of bytes of the first `kept` of a text's tokens.
int32_t kept_bytes(const Tokenizer& tokenizer, std::string_view text, int64_t tokens, int64_t kept) {
  return as_int32(kept < tokens ? byte_ends(tokenizer, text, kept).back() : std::ssize(text));
}

}  // namespace

std::vector<int32_t> tokens_before_text(const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const auto& piece : pieces_of(tokenizer.spec().post_processor, false)) {
    if (piece.kind != TemplatePiece::special) break;
    ids.insert(ids.end(), piece.ids.begin(), piece.ids.end());
  }
  return ids;
}

std::vector<int32_t> begun_with(std::span<const int32_t> before, std::span<const int32_t> ids) {
  const bool begun = ids.size() >= before.size() && std::ranges::equal(ids.first(before.size()), before);
  std::vector<int32_t> row;
  if (!begun) row.assign(before.begin(), before.end());
  row.insert(row.end(), ids.begin(), ids.end());
  return row;
}

GeneratorRows::GeneratorRows(const Tokenizer& tokenizer, const Generation& generation, RowLength length,
                             const RunTasks& run, datasets::ScratchFile& scratch, datasets::Rejects& rejects)
    : tokenizer_(tokenizer),
      generation_(generation),
      length_(length),
      run_(run),
      rejects_(rejects),
      before_(tokens_before_text(tokenizer)),
      found_(tokenizer, scratch) {
  const auto least = std::max<int64_t>(std::ssize(before_) + 1, 2);
  require(length.max_length >= least, "max_length is {}, expected at least {} for a text's first tokens",
          length.max_length, least);
}

void GeneratorRows::add(TextBatch& batch) {
  std::vector<bool> kept;
  if (generation_.content == Content::language_modeling) {
    add_plain_texts(batch, kept);
  } else {
    add_completions(batch, kept);
  }
  batch.keep(kept);
}

void GeneratorRows::add_plain_texts(TextBatch& batch, std::vector<bool>& kept) {
  const auto texts = encode({batch.texts.begin(), batch.texts.end()}, length_.longer == LongTexts::divide);
  for (int64_t i = 0; i < batch.size(); i++) {
    kept.push_back(end_text(batch, i, add_plain(batch.texts[i], texts.row(i))));
  }
}

void GeneratorRows::add_completions(TextBatch& batch, std::vector<bool>& kept) {
  const bool preference = generation_.content == Content::preference;
  const auto prompts = encode_prompts(batch.texts);
  const auto texts = answers(batch.pairs), rejected_texts = answers(batch.rejected);
  const auto completions = encode(texts, false), rejected = encode(rejected_texts, false);
  for (int64_t i = 0; i < batch.size(); i++) {
    const auto ids = prompts.row(i);
    const auto prompt =
        adds_special_tokens(generation_.chat.format) ? begun_with(before_, ids) : Ids(ids.begin(), ids.end());
    std::vector<Answer> found = {{preference ? "chosen text" : "completion", texts[i], completions.row(i)}};
    if (preference) found.push_back({"rejected text", rejected_texts[i], rejected.row(i)});
    std::vector<Row> rows;
    const auto refusal = complete(batch.texts[i], prompt, found, rows);
    if (!refusal) {
      for (const auto& row : rows) found_.add_row(row.ids, row.counts);
    }
    kept.push_back(end_text(batch, i, refusal));
  }
}

// Returns whether the text was kept.
bool GeneratorRows::end_text(const TextBatch& batch, int64_t i, const std::optional<Refusal>& refusal) {
  if (refusal) {
    rejects_.add(batch.places[i].file, batch.places[i].row, refusal->reason, refusal->text);
  } else {
    found_.end_text(batch.rows[i], batch.weights.empty() ? std::nullopt : std::optional(batch.weights[i]));
  }
  return !refusal;
}

Encodings GeneratorRows::encode(const Texts& texts, bool whole) const {
  EncodeOptions options = {.special_tokens = false};
  // One token more than fits shows that the text is too long.
  if (!whole) options.truncation = {.max_length = length_.max_length + 1};
  return tokenizer_.encode(texts, {}, options, run_);
}

Encodings GeneratorRows::encode_prompts(const std::vector<std::string>& prompts) const {
  if (generation_.chat.format == ChatFormat::none) return encode({prompts.begin(), prompts.end()}, true);
  std::vector<std::string> rendered;
  for (const auto& prompt : prompts) rendered.push_back(render(generation_.chat, prompt).prompt);
  return encode({rendered.begin(), rendered.end()}, true);
}

GeneratorRows::Texts GeneratorRows::answers(const std::vector<std::string>& texts) const {
  Texts found;
  for (const auto& text : texts) found.push_back(render_answer(generation_.chat, text));
  return found;
}

void GeneratorRows::append_end(Ids& ids) const {
  const auto& end = generation_.end;
  const bool ended = end.size() == 1 && !ids.empty() && ids.back() == end.front();
  if (!ended) ids.insert(ids.end(), end.begin(), end.end());
}

std::optional<GeneratorRows::Refusal> GeneratorRows::add_plain(std::string_view text, std::span<const int32_t> ids) {
  auto row = begun_with(before_, ids);
  const auto added = std::ssize(row) - std::ssize(ids);  // special tokens that are not in the text
  append_end(row);
  if (ids.empty()) return Refusal{"text has no tokens", std::string(text)};
  if (row.size() < 2) return Refusal{"text has no token to predict", std::string(text)};
  if (std::ssize(row) > length_.max_length && length_.longer == LongTexts::divide) {
    add_divided(text, row, added);
    return {};
  }
  const bool cut = std::ssize(row) > length_.max_length;
  if (cut) row.resize(length_.max_length);
  found_.add_row(row, {.bytes = kept_bytes(tokenizer_, text, std::ssize(ids), std::ssize(row) - added), .cut = cut});
  return {};
}

// Divides a row into parts, each with the special tokens before it.
void GeneratorRows::add_divided(std::string_view text, const Ids& row, int64_t added) {
  const auto before = std::ssize(before_), room = length_.max_length - before, size = std::ssize(row) - before;
  const auto ends = byte_ends(tokenizer_, text, std::ssize(row));
  const auto bytes_up_to = [&](int64_t at) {  // in `row`
    const auto tokens = std::min(at - added, std::ssize(ends));
    return tokens > 0 ? ends[tokens - 1] : 0;
  };
  const auto count = (size + room - 1) / room;
  for (int64_t i = 0; i < count; i++) {
    const auto begin = before + size * i / count, end = before + size * (i + 1) / count;
    auto part = before_;
    part.insert(part.end(), row.begin() + begin, row.begin() + end);
    found_.add_row(part, {.bytes = as_int32(bytes_up_to(end) - bytes_up_to(begin))});
  }
}

// Makes the rows of a prompt and its answers.
std::optional<GeneratorRows::Refusal> GeneratorRows::complete(std::string_view prompt, const Ids& prompt_ids,
                                                              std::span<const Answer> answers,
                                                              std::vector<Row>& rows) const {
  const auto room = length_.max_length - std::ssize(prompt_ids);
  if (room <= 0) {
    return Refusal{"prompt leaves no room for a completion",
                   fmt::format("{} tokens, max_length is {}: {}", prompt_ids.size(), length_.max_length, prompt)};
  }
  for (const auto& [name, text, ids] : answers) {
    if (ids.empty()) return Refusal{fmt::format("{} has no tokens", name), std::string(text)};
    auto& [row, counts] = rows.emplace_back(Row{{ids.begin(), ids.end()}, {}});
    append_end(row);
    counts.second = static_cast<int32_t>(prompt_ids.size());
    counts.cut = std::ssize(row) > room;
    if (counts.cut) row.resize(room);
    counts.bytes = kept_bytes(tokenizer_, text, std::ssize(ids), std::ssize(row));
    row.insert(row.begin(), prompt_ids.begin(), prompt_ids.end());
    if (row.size() < 2) return Refusal{fmt::format("{} has no token to predict", name), std::string(text)};
  }
  if (rows.size() == 2 && rows[0].ids == rows[1].ids) {
    return Refusal{"chosen and rejected texts have the same tokens", std::string(answers[0].text)};
  }
  return {};
}

}  // namespace sartor::text

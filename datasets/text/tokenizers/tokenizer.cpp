#include "text/tokenizers/tokenizer.h"

#include <algorithm>
#include <set>

#include "base/require.h"
#include "base/utf8.h"
#include "encodings/unicode.h"

namespace sartor::text {
namespace {

TokenizerSpec checked(TokenizerSpec spec) {
  check(spec);
  return spec;
}

// Finder of the added tokens that are matched in the original text.
AddedTokenFinder plain_finder(const TokenizerSpec& spec) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> patterns;
  for (const auto& token : spec.added_tokens) {
    if (token.normalized) continue;
    tokens.push_back(token);
    patterns.push_back(token.content);
  }
  return {std::move(tokens), patterns};
}

AddedTokenFinder normalized_finder(const TokenizerSpec& spec, const TokenizerModel& model) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> patterns;
  std::set<std::string> seen;
  for (const auto& token : spec.added_tokens) {
    if (!token.normalized) continue;
    tokens.push_back(token);
    patterns.push_back(model.normalize(token.content, 0).text);
    require(!patterns.back().empty(), "added token {} is empty after normalization", token.content);
    require(seen.insert(patterns.back()).second, "added token {}: another added token is also {} after normalization",
            token.content, patterns.back());
  }
  return {std::move(tokens), patterns};
}

uint32_t characters(std::string_view text) { return static_cast<uint32_t>(unicode::count_characters(text)); }

}  // namespace

// Encodes rows one after another with reused buffers. Not thread-safe.
class Tokenizer::Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, const EncodeOptions& options, bool pairs)
      : tokenizer_(tokenizer),
        options_(options),
        pieces_(pieces_of(tokenizer.spec_.post_processor, pairs)),
        special_(options.special_tokens ? special_tokens(pieces_) : 0),
        trims_(trims_offsets(tokenizer.spec_.post_processor)) {
    first_.wants_offsets = second_.wants_offsets = options.offsets;
  }

  void encode(std::string_view text, const std::string_view* pair, Encodings& encodings) {
    const auto& truncation = options_.truncation;
    const size_t room = truncation ? static_cast<size_t>(truncation->max_length - special_) : SIZE_MAX;
    const bool left = truncation && truncation->side == Side::left;

    // One token more than fits is enough to detect truncation. Pairs need the full lengths of both texts.
    first_.limit = pair || left || room == SIZE_MAX ? SIZE_MAX : room + 1;
    find(text, first_);
    second_.reset();
    if (pair) find(*pair, second_);
    KeptTokens kept = {first_.ids.size(), second_.ids.size()};
    if (truncation) kept = kept_tokens(kept, pair, truncation->strategy, room);
    for (const auto& piece : pieces_) {
      if (piece.kind != TemplatePiece::special) {
        const bool is_first = piece.kind == TemplatePiece::first;
        append(is_first ? first_ : second_, is_first ? kept.first : kept.second, left, piece.type_id, encodings);
      } else if (options_.special_tokens) {
        append_special(piece, encodings);
      }
    }
    encodings.rows.push_back(std::ssize(encodings.ids));
    encodings.cut += kept.first < first_.ids.size() || kept.second < second_.ids.size();
  }

 private:
  struct FoundTokens : TokenList {
    struct Added {
      size_t index;  // in ids
      Blanks blanks;
    };
    std::vector<Added> added;  // only if offsets are trimmed

    void reset() {
      clear();
      added.clear();
    }
  };

  void append(const FoundTokens& tokens, size_t kept, bool left, uint8_t type_id, Encodings& encodings) const {
    const auto from = static_cast<ptrdiff_t>(left ? tokens.ids.size() - kept : 0), size = static_cast<ptrdiff_t>(kept);
    encodings.ids.insert(encodings.ids.end(), tokens.ids.begin() + from, tokens.ids.begin() + from + size);
    encodings.special_mask.resize(encodings.ids.size(), 0);
    encodings.type_ids.resize(encodings.ids.size(), type_id);
    if (!options_.offsets) return;
    encodings.offsets.insert(encodings.offsets.end(), tokens.offsets.begin() + from,
                             tokens.offsets.begin() + from + size);
    if (trims_) trim(tokens, static_cast<size_t>(from), std::span(encodings.offsets).last(kept));
  }

  // Excludes whitespace from the offsets of the tokens from index `from` on.
  void trim(const FoundTokens& tokens, size_t from, std::span<Span> offsets) const {
    auto added = std::ranges::lower_bound(tokens.added, from, {}, &FoundTokens::Added::index);
    for (size_t i = 0; i < offsets.size(); i++) {
      const bool is_added = added != tokens.added.end() && added->index == from + i;
      const Blanks blanks = is_added ? (added++)->blanks : blanks_of(tokenizer_.token(tokens.ids[from + i]));
      offsets[i] = trimmed(tokenizer_.spec_.post_processor, blanks, offsets[i], i == 0);
    }
  }

  // Adds an added token that matches `text`.
  void add(const AddedToken& token, std::string_view text, Span where, FoundTokens& tokens) const {
    if (trims_ && tokens.wants_offsets) tokens.added.push_back({tokens.ids.size(), blanks_of(text)});
    tokens.add(token.id, where);
  }

  void append_special(const TemplatePiece& piece, Encodings& encodings) const {
    encodings.ids.insert(encodings.ids.end(), piece.ids.begin(), piece.ids.end());
    encodings.special_mask.resize(encodings.ids.size(), 1);
    encodings.type_ids.resize(encodings.ids.size(), piece.type_id);
    if (options_.offsets) encodings.offsets.resize(encodings.ids.size());
  }

  // Finds the tokens of a whole text.
  void find(std::string_view text, FoundTokens& tokens) {
    require(text.size() < UINT32_MAX, "a text has {} bytes, expected less than 4 GiB", text.size());
    if (valid_utf8(text) != text.size()) {
      whole_ = unicode::replace_broken(text);
      text = whole_;
    }
    tokens.reset();
    size_t done = 0;         // bytes processed
    uint32_t character = 0;  // index of the character at `done`; only if offsets are requested
    const auto count = [&](size_t begin, size_t end) {
      return options_.offsets ? characters(text.substr(begin, end - begin)) : 0;
    };
    tokenizer_.added_.find(text, [&](const AddedToken& token, size_t begin, size_t end) {
      if (done < begin) find_normalized({text.substr(done, begin - done), character}, tokens);
      if (tokens.full) return false;
      const uint32_t at = begin < done ? count(0, begin) : character + count(done, begin);
      character = at + count(begin, end);
      done = end;
      add(token, text.substr(begin, end - begin), {at, character}, tokens);
      return true;
    });
    if (!tokens.full && done < text.size()) find_normalized({text.substr(done), character}, tokens);
  }

  // Finds the tokens of a stretch without added tokens in its original form. If normalized added tokens exist, the
  // whole stretch is normalized first; otherwise the model normalizes on the fly.
  void find_normalized(const Stretch& stretch, FoundTokens& tokens) const {
    const TokenizerModel& model = *tokenizer_.model_;
    if (tokenizer_.normalized_added_.empty()) return model.tokenize(stretch, tokens);
    if (model.normalized(stretch.text)) return find_in_normalized(stretch, tokens);
    const NormalizedText normalized = model.normalize(stretch.text, stretch.first);
    find_in_normalized({normalized.text, 0, normalized.origins.data()}, tokens);
  }

  void find_in_normalized(const Stretch& stretch, FoundTokens& tokens) const {
    const TokenizerModel& model = *tokenizer_.model_;
    const std::string_view text = stretch.text;
    size_t done = 0;                     // bytes processed
    uint32_t character = stretch.first;  // index of the character at `done`
    const auto tokenize_up_to = [&](size_t end) {
      if (done < end) model.tokenize({text.substr(done, end - done), character, stretch.origins}, tokens);
    };
    tokenizer_.normalized_added_.find(text, [&](const AddedToken& token, size_t begin, size_t end) {
      tokenize_up_to(begin);
      if (tokens.full) return false;
      const uint32_t at = begin < done ? stretch.first + characters(text.substr(0, begin))
                                       : character + characters(text.substr(done, begin - done));
      character = at + characters(text.substr(begin, end - begin));
      done = end;
      add(token, text.substr(begin, end - begin), stretch.span(at, character - 1), tokens);
      return true;
    });
    if (!tokens.full) tokenize_up_to(text.size());
  }

  const Tokenizer& tokenizer_;
  const EncodeOptions& options_;
  const TemplatePieces& pieces_;
  const int64_t special_;  // number of special tokens in the template
  const bool trims_;       // whether offsets exclude whitespace
  FoundTokens first_, second_;
  std::string whole_;  // text with invalid UTF-8 replaced
};

Tokenizer::Tokenizer(TokenizerSpec spec)
    : spec_(checked(std::move(spec))),
      model_(model_of(spec_).make(spec_)),
      added_(plain_finder(spec_)),
      normalized_added_(normalized_finder(spec_, *model_)) {
  std::set<std::string> special;
  std::set<int32_t> added;
  for (const auto& token : spec_.added_tokens) {
    if (token.special) special.insert(token.content);
    added.insert(token.id);
    known_.push_back(
        {token.id, token.content, token.normalized ? model_->normalize(token.content, 0).text : token.content});
  }
  for (const auto& [text, id] : spec_.vocabulary) {
    if (!added.contains(id)) known_.push_back({id, text, text});
  }
  std::ranges::sort(known_, {}, &Known::id);
  for (size_t i = 0; i < known_.size(); i++) {
    known_[i].special = special.contains(known_[i].decoded);
    by_text_.push_back(i);
  }
  std::ranges::sort(by_text_, {}, [&](size_t i) -> const std::string& { return known_[i].text; });
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

int64_t Tokenizer::vocabulary_size() const { return int64_t{known_.back().id} + 1; }

std::optional<int32_t> Tokenizer::id_of(std::string_view token) const {
  const auto text = [&](size_t i) -> std::string_view { return known_[i].text; };
  const auto found = std::ranges::lower_bound(by_text_, token, {}, text);
  if (found == by_text_.end() || text(*found) != token) return std::nullopt;
  return known_[*found].id;
}

const Tokenizer::Known* Tokenizer::known(int32_t id) const {
  if (id >= 0 && id < std::ssize(known_) && known_[id].id == id) return &known_[id];  // contiguous ids
  const auto found = std::ranges::lower_bound(known_, id, {}, &Known::id);
  return found != known_.end() && found->id == id ? &*found : nullptr;
}

std::string_view Tokenizer::token(int32_t id) const {
  const Known* found = known(id);
  return found ? found->text : std::string_view();
}

Encodings Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  return encode(std::span(&text, 1), {}, options);
}

Encodings Tokenizer::encode(std::string_view text, std::string_view pair, const EncodeOptions& options) const {
  return encode(std::span(&text, 1), std::span(&pair, 1), options);
}

Encodings Tokenizer::encode(Texts texts, Texts pairs, const EncodeOptions& options, const RunTasks& run) const {
  require(pairs.empty() || pairs.size() == texts.size(), "{} texts have {} pairs", texts.size(), pairs.size());
  if (options.truncation) {
    const auto& pieces = pieces_of(spec_.post_processor, !pairs.empty());
    const int64_t special = options.special_tokens ? special_tokens(pieces) : 0;
    require(options.truncation->max_length >= special,
            "truncation: max_length is {}, but the special tokens alone take {}", options.truncation->max_length,
            special);
  }
  return run ? encode_in_tasks(texts, pairs, options, run) : encode_rows(texts, pairs, options);
}

Encodings Tokenizer::encode_rows(Texts texts, Texts pairs, const EncodeOptions& options) const {
  Encodings encodings;
  Encoder encoder(*this, options, !pairs.empty());
  encodings.rows.reserve(texts.size() + 1);
  for (size_t i = 0; i < texts.size(); i++) encoder.encode(texts[i], pairs.empty() ? nullptr : &pairs[i], encodings);
  return encodings;
}

Encodings Tokenizer::encode_in_tasks(Texts texts, Texts pairs, const EncodeOptions& options,
                                     const RunTasks& run) const {
  constexpr size_t task_bytes = 128 << 10;
  std::vector<size_t> begins = {0};
  size_t bytes = 0;
  for (size_t i = 0; i < texts.size(); i++) {
    bytes += texts[i].size() + (pairs.empty() ? 0 : pairs[i].size()) + 16;
    if (bytes < task_bytes && i + 1 < texts.size()) continue;
    begins.push_back(i + 1);
    bytes = 0;
  }
  const auto tasks = static_cast<int64_t>(begins.size()) - 1;
  std::vector<Encodings> parts(tasks);
  run(tasks, [&](int64_t task) {
    const size_t begin = begins[task], size = begins[task + 1] - begin;
    parts[task] = encode_rows(texts.subspan(begin, size), pairs.empty() ? pairs : pairs.subspan(begin, size), options);
  });

  Encodings encodings;
  std::vector<int64_t> starts = {0};
  for (const auto& part : parts) {
    starts.push_back(starts.back() + std::ssize(part.ids));
    encodings.cut += part.cut;
  }
  encodings.rows.resize(texts.size() + 1);
  encodings.ids.resize(starts.back());
  encodings.type_ids.resize(starts.back());
  encodings.special_mask.resize(starts.back());
  if (options.offsets) encodings.offsets.resize(starts.back());
  run(tasks, [&](int64_t task) {
    Encodings part = std::move(parts[task]);  // frees the part at the end of the iteration
    const int64_t at = starts[task];
    std::ranges::copy(part.ids, encodings.ids.begin() + at);
    std::ranges::copy(part.type_ids, encodings.type_ids.begin() + at);
    std::ranges::copy(part.special_mask, encodings.special_mask.begin() + at);
    std::ranges::copy(part.offsets, encodings.offsets.begin() + (options.offsets ? at : 0));
    for (int64_t r = 0; r < part.size(); r++) encodings.rows[begins[task] + r + 1] = at + part.rows[r + 1];
  });
  return encodings;
}

std::optional<std::string_view> Tokenizer::decoded_token(int32_t id, bool skip_special_tokens) const {
  const Known* token = known(id);
  if (!token || (skip_special_tokens && token->special)) return std::nullopt;
  return token->decoded;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::vector<std::string_view> tokens;
  for (const int32_t id : ids) {
    if (const auto token = decoded_token(id, skip_special_tokens)) tokens.push_back(*token);
  }
  return text::decode(spec_.decoder, tokens);
}

PaddedBatch pad(const Encodings& encodings, const Padding& padding) {
  require(padding.length >= 0, "padding: length is {}, expected 0 or more", padding.length);
  require(padding.multiple_of >= 1, "padding: multiple_of is {}, expected 1 or more", padding.multiple_of);
  PaddedBatch batch = {.size = encodings.size(), .length = padding.length};
  int64_t longest = 0;
  for (int64_t r = 0; r < batch.size; r++) longest = std::max(longest, encodings.rows[r + 1] - encodings.rows[r]);
  if (batch.length == 0) batch.length = longest;
  batch.length = (batch.length + padding.multiple_of - 1) / padding.multiple_of * padding.multiple_of;
  batch.length = std::max(batch.length, longest);

  const int64_t cells = batch.size * batch.length;
  batch.ids.assign(cells, padding.id);
  batch.attention_mask.assign(cells, 0);
  batch.type_ids.assign(cells, padding.type_id);
  batch.special_mask.assign(cells, 1);
  for (int64_t r = 0; r < batch.size; r++) {
    const int64_t begin = encodings.rows[r], size = encodings.rows[r + 1] - begin;
    const int64_t at = r * batch.length + (padding.side == Side::left ? batch.length - size : 0);
    std::copy_n(encodings.ids.begin() + begin, size, batch.ids.begin() + at);
    std::fill_n(batch.attention_mask.begin() + at, size, uint8_t{1});
    std::copy_n(encodings.type_ids.begin() + begin, size, batch.type_ids.begin() + at);
    std::copy_n(encodings.special_mask.begin() + begin, size, batch.special_mask.begin() + at);
  }
  return batch;
}

}  // namespace sartor::text

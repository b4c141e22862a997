#include "text/tokenizers/tokenizer.h"

#include <algorithm>
#include <set>

#include "base/require.h"
#include "base/utf8.h"
#include "text/tokenizers/text_model.h"
#include "text/tokenizers/wordpiece.h"

namespace sartor::text {
namespace {

int64_t template_tokens(const std::vector<TemplatePiece>& pieces) {
  int64_t count = 0;
  for (const auto& piece : pieces) count += std::ssize(piece.ids);
  return count;
}

void check_template(const std::vector<TemplatePiece>& pieces, const char* name, bool pair) {
  bool first = false, second = false;
  for (const auto& [kind, type_id, ids] : pieces) {
    first |= kind == TemplatePiece::first;
    second |= kind == TemplatePiece::second;
    require((kind == TemplatePiece::special) != ids.empty(), "template {}: ids belong to special tokens", name);
    for (const int32_t id : ids) require(id >= 0, "template {}: a special token has the id {}", name, id);
  }
  require(pair || !second, "template {} has a second text", name);
  require(!pair || (first && second), "template {} lacks one of the two texts", name);
}

void check(const TokenizerSpec& spec) {
  require(!spec.vocabulary.empty(), "the vocabulary is empty");
  require(spec.max_input_chars_per_word >= 0, "max_input_chars_per_word is {}, expected 0 or more",
          spec.max_input_chars_per_word);
  std::vector<std::pair<std::string_view, int32_t>> vocabulary;
  std::vector<std::pair<int32_t, std::string_view>> by_id;
  for (const auto& [text, id] : spec.vocabulary) {
    require(valid_utf8(text) == text.size(), "vocabulary: the token with the id {} is no UTF-8", id);
    require(id >= 0, "vocabulary: {} has the id {}, expected 0 or more", text, id);
    vocabulary.emplace_back(text, id);
    by_id.emplace_back(id, text);
  }
  std::ranges::sort(vocabulary);
  std::ranges::sort(by_id);
  for (size_t i = 1; i < vocabulary.size(); i++) {
    require(vocabulary[i - 1].first != vocabulary[i].first, "vocabulary: {} stands there twice", vocabulary[i].first);
    require(by_id[i - 1].first != by_id[i].first, "vocabulary: {} and {} have the id {}", by_id[i - 1].second,
            by_id[i].second, by_id[i].first);
  }
  // The reference gives ids itself: that of the vocabulary, else the next one behind it.
  std::set<std::string_view> added;
  auto next = static_cast<int64_t>(spec.vocabulary.size());
  for (const auto& token : spec.added_tokens) {
    require(!token.content.empty(), "added token with the id {}: its content is empty", token.id);
    require(valid_utf8(token.content) == token.content.size(), "added token with the id {}: its content is no UTF-8",
            token.id);
    require(added.insert(token.content).second, "added token {} stands there twice", token.content);
    const auto found = std::ranges::lower_bound(vocabulary, std::string_view(token.content), {},
                                                [](const auto& each) { return each.first; });
    const bool has = found != vocabulary.end() && found->first == token.content;
    const int64_t expected = has ? found->second : next++;
    require(token.id == expected, "added token {} has the id {}, expected {}: {}", token.content, token.id, expected,
            has ? "that of the vocabulary" : "the next behind the vocabulary and the added tokens before it");
    const auto same = std::ranges::lower_bound(by_id, token.id, {}, [](const auto& each) { return each.first; });
    require(has || same == by_id.end() || same->first != token.id,
            "added token {} has the id {}, as a token of the vocabulary has", token.content, token.id);
  }
  check_template(spec.single, "single", false);
  check_template(spec.pair, "pair", true);
}

AddedTokenFinder plain_finder(const std::vector<AddedToken>& tokens) {
  std::vector<AddedToken> plain;
  std::vector<std::string> patterns;
  for (const auto& token : tokens) {
    if (token.normalized) continue;
    plain.push_back(token);
    patterns.push_back(token.content);
  }
  return {std::move(plain), patterns};
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

// How many tokens of the first and the second text stay. `room` is without special tokens.
struct Kept {
  size_t first, second;
};
Kept truncate(size_t first, size_t second, bool pair, TruncationStrategy strategy, size_t room) {
  if (room == 0) return {0, 0};
  if (first + second <= room) return {first, second};
  const size_t surplus = first + second - room;
  switch (strategy) {
    case TruncationStrategy::only_first:
      require(first > surplus, "truncation only_first: the first text has {} tokens, {} too many of both", first,
              surplus);
      return {first - surplus, second};
    case TruncationStrategy::only_second:
      require(pair, "truncation only_second: there is no second text, and the first has {} tokens, {} too many", first,
              surplus);
      require(second > surplus, "truncation only_second: the second text has {} tokens, {} too many of both", second,
              surplus);
      return {first, second - surplus};
    case TruncationStrategy::longest_first:
      break;
  }
  if (!pair) return {room, 0};
  // The shorter one stays whole if the other can make room; else each gets half, the longer one the odd token.
  const size_t shorter = std::min(first, second);
  size_t less = shorter, more = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (less + more > room) {
    less = room / 2;
    more = less + room % 2;
  }
  return first > second ? Kept{more, less} : Kept{less, more};
}

}  // namespace

// Encodes one row after the other, with memory that it keeps. One thread's.
class Tokenizer::Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, const EncodeOptions& options) : tokenizer_(tokenizer), options_(options) {
    first_.wants_offsets = second_.wants_offsets = options.offsets;
  }

  void encode(std::string_view text, const std::string_view* pair, Encodings& encodings) {
    const auto& pieces = pair ? tokenizer_.spec_.pair : tokenizer_.spec_.single;
    const int64_t special = !options_.special_tokens ? 0 : pair ? tokenizer_.special_pair_ : tokenizer_.special_single_;
    const auto& truncation = options_.truncation;
    const size_t room = truncation ? static_cast<size_t>(truncation->max_length - special) : SIZE_MAX;
    const bool left = truncation && truncation->side == Side::left;

    // One token more than there is room for tells that there are too many. Pairs are cut by how long each is.
    first_.limit = pair || left || room == SIZE_MAX ? SIZE_MAX : room + 1;
    find(text, first_);
    second_.clear();
    if (pair) find(*pair, second_);
    Kept kept = {first_.ids.size(), second_.ids.size()};
    if (truncation) kept = truncate(kept.first, kept.second, pair, truncation->strategy, room);
    for (const auto& piece : pieces) {
      if (piece.kind != TemplatePiece::special) {
        const bool is_first = piece.kind == TemplatePiece::first;
        append(is_first ? first_ : second_, is_first ? kept.first : kept.second, left, piece.type_id, encodings);
      } else if (options_.special_tokens) {
        encodings.ids.insert(encodings.ids.end(), piece.ids.begin(), piece.ids.end());
        encodings.special_mask.resize(encodings.ids.size(), 1);
        encodings.type_ids.resize(encodings.ids.size(), piece.type_id);
        if (options_.offsets) encodings.offsets.resize(encodings.ids.size());
      }
    }
    encodings.rows.push_back(std::ssize(encodings.ids));
    encodings.cut += kept.first < first_.ids.size() || kept.second < second_.ids.size();
  }

 private:
  void append(const TokenList& tokens, size_t kept, bool left, uint8_t type_id, Encodings& encodings) {
    const auto from = static_cast<ptrdiff_t>(left ? tokens.ids.size() - kept : 0), size = static_cast<ptrdiff_t>(kept);
    encodings.ids.insert(encodings.ids.end(), tokens.ids.begin() + from, tokens.ids.begin() + from + size);
    encodings.special_mask.resize(encodings.ids.size(), 0);
    encodings.type_ids.resize(encodings.ids.size(), type_id);
    if (options_.offsets)
      encodings.offsets.insert(encodings.offsets.end(), tokens.offsets.begin() + from,
                               tokens.offsets.begin() + from + size);
  }

  void find(std::string_view text, TokenList& tokens) {
    require(text.size() < UINT32_MAX, "a text has {} bytes, expected less than 4 GiB", text.size());
    if (valid_utf8(text) != text.size()) {
      whole_ = unicode::replace_broken(text);
      text = whole_;
    }
    tokens.clear();
    size_t done = 0;         // bytes
    uint32_t character = 0;  // that begins there, if offsets are wanted
    const auto count = [&](size_t begin, size_t end) {
      return options_.offsets ? static_cast<uint32_t>(unicode::count_characters(text.substr(begin, end - begin))) : 0;
    };
    const TextModel& model = *tokenizer_.model_;
    tokenizer_.added_.find(text, [&](const AddedToken& token, size_t begin, size_t end) {
      if (done < begin) model.tokenize(text.substr(done, begin - done), character, tokens);
      if (tokens.full) return false;
      const uint32_t at = begin < done ? count(0, begin) : character + count(done, begin);
      character = at + count(begin, end);
      done = end;
      tokens.add(token.id, {at, character});
      return true;
    });
    if (!tokens.full && done < text.size()) model.tokenize(text.substr(done), character, tokens);
  }

  const Tokenizer& tokenizer_;
  const EncodeOptions& options_;
  TokenList first_, second_;
  std::string whole_;  // a text whose broken parts were replaced
};

Tokenizer::Tokenizer(TokenizerSpec spec)
    : spec_((check(spec), std::move(spec))),
      model_(make_wordpiece(spec_)),
      added_(plain_finder(spec_.added_tokens)),
      special_single_(template_tokens(spec_.single)),
      special_pair_(template_tokens(spec_.pair)) {
  std::set<std::string> special;
  std::set<int32_t> added;
  for (const auto& token : spec_.added_tokens) {
    if (token.special) special.insert(token.content);
    added.insert(token.id);
    known_.push_back({token.id, token.content, token.normalized ? model_->normalized(token.content) : token.content});
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
  if (id >= 0 && id < std::ssize(known_) && known_[id].id == id) return &known_[id];  // ids without holes
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

Encodings Tokenizer::encode(std::span<const std::string_view> texts, std::span<const std::string_view> pairs,
                            const EncodeOptions& options, const RunTasks& run) const {
  require(pairs.empty() || pairs.size() == texts.size(), "{} texts have {} pairs", texts.size(), pairs.size());
  if (options.truncation) {
    const int64_t special = !options.special_tokens ? 0 : pairs.empty() ? special_single_ : special_pair_;
    require(options.truncation->max_length >= special, "truncation: max_length is {}, and special tokens alone are {}",
            options.truncation->max_length, special);
  }
  const auto encode_range = [&](size_t begin, size_t end, Encodings& encodings) {
    Encoder encoder(*this, options);
    encodings.rows.reserve(end - begin + 1);
    for (size_t i = begin; i < end; i++) encoder.encode(texts[i], pairs.empty() ? nullptr : &pairs[i], encodings);
  };
  Encodings encodings;
  if (!run) {
    encode_range(0, texts.size(), encodings);
    return encodings;
  }

  constexpr size_t task_bytes = 128 << 10;
  std::vector<size_t> begins = {0};
  for (size_t i = 0, bytes = 0; i < texts.size(); i++) {
    bytes += texts[i].size() + (pairs.empty() ? 0 : pairs[i].size()) + 16;
    if (bytes >= task_bytes || i + 1 == texts.size()) begins.push_back(i + 1), bytes = 0;
  }
  const auto tasks = static_cast<int64_t>(begins.size()) - 1;
  std::vector<Encodings> parts(tasks);
  run(tasks, [&](int64_t task) { encode_range(begins[task], begins[task + 1], parts[task]); });

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
    Encodings part = std::move(parts[task]);  // freed here
    const int64_t at = starts[task];
    std::ranges::copy(part.ids, encodings.ids.begin() + at);
    std::ranges::copy(part.type_ids, encodings.type_ids.begin() + at);
    std::ranges::copy(part.special_mask, encodings.special_mask.begin() + at);
    std::ranges::copy(part.offsets, encodings.offsets.begin() + (options.offsets ? at : 0));
    for (int64_t r = 0; r < part.size(); r++) encodings.rows[begins[task] + r + 1] = at + part.rows[r + 1];
  });
  return encodings;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string text, piece;
  bool first = true;
  for (const int32_t id : ids) {
    const Known* token = known(id);
    if (!token || (skip_special_tokens && token->special)) continue;
    piece = token->decoded;
    const bool begins = first;
    first = false;
    if (!spec_.decoder) {
      text += begins ? piece : ' ' + piece;
      continue;
    }
    if (!begins) {
      if (piece.starts_with(spec_.decoder->prefix)) {
        piece.erase(0, spec_.decoder->prefix.size());
      } else {
        piece.insert(0, 1, ' ');
      }
    }
    if (spec_.decoder->cleanup) {
      static constexpr std::pair<const char*, const char*> rules[] = {
          {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
          {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
      for (const auto& [what, with] : rules) replace_all(piece, what, with);
    }
    text += piece;
  }
  return text;
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

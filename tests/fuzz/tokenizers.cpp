#include <cstdlib>
#include <stdexcept>

#include "fuzz/targets.h"
#include "text/chat_format.h"
#include "text/tokenizers/stream_decoder.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::fuzz {
namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

// Checks that the rows of any tokenizer are consistent.
void encode(text::TokenizerSpec spec) {
  const text::Tokenizer tokenizer(std::move(spec));
  const std::string_view texts[] = {"Hello, world! a[MASK]b", "我喜欢\xff é\u0301\U0001d165\u0316 <x> xx", "",
                                    "aaaaaaaaaaaaaaaa"};
  for (const bool truncated : {false, true}) {
    text::EncodeOptions options = {.offsets = true};
    if (truncated) options.truncation = text::Truncation{.max_length = 5};
    for (const auto pairs : {std::span<const std::string_view>(), std::span<const std::string_view>(texts)}) {
      try {
        const auto encodings = tokenizer.encode(texts, pairs, options);
        expect(encodings.size() == 4 && encodings.rows.back() == std::ssize(encodings.ids));
        expect(encodings.offsets.size() == encodings.ids.size() && encodings.type_ids.size() == encodings.ids.size());
        for (int64_t r = 0; truncated && r < 4; r++) expect(encodings.row(r).size() <= 5);
        for (const auto& [begin, end] : encodings.offsets) expect(begin <= end && end <= 30);
        text::StreamDecoder stream(tokenizer, truncated);
        std::string pieces;
        for (const auto id : encodings.ids) pieces += stream.add(id);
        expect(pieces + stream.finish() == tokenizer.decode(encodings.ids, truncated));
      } catch (const std::invalid_argument&) {  // a template of more than 5 tokens
        expect(truncated);
      }
    }
  }
}

// Removes and returns the input up to its first zero byte.
std::string_view up_to_zero(std::string_view& input) {
  const size_t end = std::min(input.find('\0'), input.size());
  const auto before = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return before;
}

}  // namespace

void tokenizer_json(std::string_view input, bool use) {
  try {
    auto spec = text::parse_tokenizer_json(input, "tokenizer.json");
    if (use) encode(std::move(spec));
  } catch (const std::invalid_argument&) {
  }
}

void bert_tokenizer(std::string_view input, bool use) {
  const auto vocab = up_to_zero(input);
  try {
    auto spec = text::parse_bert_tokenizer(vocab, "vocab.txt", input, "tokenizer_config.json");
    if (use) encode(std::move(spec));
  } catch (const std::invalid_argument&) {
  }
}

void byte_bpe(std::string_view input, bool use) {
  const text::FileText vocab = {std::string(up_to_zero(input)), "vocab.json"};
  const text::FileText merges = {std::string(up_to_zero(input)), "merges.txt"};
  try {
    auto spec = text::parse_byte_bpe(vocab, merges, {std::string(input), "tokenizer_config.json"});
    if (use) encode(std::move(spec));
  } catch (const std::invalid_argument&) {
  }
}

void chat_template(std::string_view input, bool use) {
  try {
    const auto chat = text::parse_chat_template(input, "chat_template.jinja");
    if (use) expect(!text::render(chat, input).end.empty());
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace sartor::fuzz

// Generates the texts and digests of scripts/golden/wordpiece.py and byte_bpe.py.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "encodings/unicode.h"
#include "storage/sha256.h"
#include "support/paths.h"
#include "text/tokenizers/tokenizer.h"
#include "text/tokenizers/tokenizer_files.h"

namespace sartor::text {

inline const std::filesystem::path golden = std::filesystem::path(sartor::testing::source_path("tests/golden/text"));
inline const std::filesystem::path public_data = std::filesystem::path(sartor::testing::source_path("data"));

inline std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

inline nlohmann::json golden_json(const char* name) { return nlohmann::json::parse(contents(golden / name)); }

// JSON merge patch (RFC 7396), except that null is a value, because tokenizer files contain nulls.
inline nlohmann::json patched(nlohmann::json base, const nlohmann::json& patch) {
  for (const auto& [key, value] : patch.items()) {
    base[key] = value.is_object() && base[key].is_object() ? patched(base[key], value) : value;
  }
  return base;
}

inline TokenizerSpec byte_spec(const nlohmann::json& patch = nlohmann::json::object()) {
  return parse_tokenizer_json(patched(golden_json("byte_tokenizer.json"), patch).dump(), "byte_tokenizer.json");
}
inline TokenizerSpec golden_spec(const nlohmann::json& patch = nlohmann::json::object()) {
  return parse_tokenizer_json(patched(golden_json("tokenizer.json"), patch).dump(), "tokenizer.json");
}

// SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t bound) {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return (z ^ z >> 31) % bound;
  }

 private:
  uint64_t state_;
};

inline std::string random_text(Random& random, bool broken) {
  static constexpr char32_t odd[] = {
      0x300, 0x301,   0x316,  0x1D15E, 0x1D15F, 0x1D164, 0x1D165, 0x1D16D, 0x1D172, 0x302E, 0x8D4,   0x8DA,
      0x344, 0x340,   0xF73,  0xF75,   0xF81,   0x1B44,  0x16FF0, 0x130,   0x131,   0x1E9E, 0xDF,    0x3A3,
      0x3C2, 0x4E2D,  0xF900, 0x2F800, 0xAC00,  0xAC01,  0xD7A3,  0x200D,  0xAD,    0xFFFD, 0xFE0F,  0x1F600,
      0x85,  0xB,     0x1C,   0xA0,    0x3000,  0x2028,  0x37E,   0x1FEF,  0x2000,  0x212B, 0x226E,  0x3094,
      0x20,  0x2E,    0x41,   0x61,    0x9CB,   0xCCB,   0xDDD,   0x0,     0x7F,    0x600,  0xE0001, 0xF0000,
      0x378, 0xE01EF, 0x903,  0x93A,   0x93C,   0x94D,   0x5B,    0x5D,    0xC9,    0xE9};
  std::string text;
  for (uint64_t left = random.below(24); left > 0; left--) {
    const uint64_t kind = random.below(8);
    char32_t code = 0;
    if (kind < 3) {
      code = odd[random.below(std::size(odd))];
    } else if (kind == 3) {
      code = 32 + random.below(95);
    } else if (kind == 4) {
      code = 0x300 + random.below(0x70);
    } else if (kind == 5) {
      code = random.below(0x3000);
    } else {
      code = random.below(0x110000 - 0x800);
      if (code >= 0xD800) code += 0x800;
    }
    if (broken && kind == 7) {
      text += static_cast<char>(code & 0xFF);
    } else {
      unicode::append_character(text, code);
    }
  }
  return text;
}

// All code points except surrogates, 64 per text.
inline std::vector<std::string> sweep_texts() {
  std::vector<std::string> texts;
  for (char32_t block = 0; block < 0x110000; block += 64) {
    if (block >= 0xD800 && block < 0xE000) continue;
    std::string text;
    for (char32_t code = block; code < block + 64; code++) {
      std::string character;
      unicode::append_character(character, code);
      text += (code > block ? " a" : "a") + character + "b" + character + " é" + character + "\u0301" + character +
              "\U0001d165" + character + "\u0316";
    }
    texts.push_back(text);
  }
  return texts;
}

// All code points except surrogates, 16 per text, in contexts that byte-level pre-tokenizers distinguish.
inline std::vector<std::string> split_texts() {
  std::vector<std::string> texts;
  for (char32_t block = 0; block < 0x110000; block += 16) {
    if (block >= 0xD800 && block < 0xE000) continue;
    std::string& text = texts.emplace_back();
    for (char32_t code = block; code < block + 16; code++) {
      std::string c;
      unicode::append_character(c, code);
      text += c + "a " + c + "1" + c + c + "  " + c + "'" + c + "\n" + c + "\r\n '" + c + "s" + c + " 's" + c + "\t" +
              c + "\u0301" + c + " " + c + "  ";
    }
  }
  return texts;
}

// The random texts of scripts/golden, every second one with invalid UTF-8.
inline std::vector<std::string> random_texts(size_t count) {
  Random random(1);
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; i++) texts.push_back(random_text(random, i % 2 == 1));
  return texts;
}

// The lines of a file; with `field`, that tab-separated field of each line that has it.
inline std::vector<std::string> lines(const std::string& text, int field) {
  std::vector<std::string> found;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    bool whole = true;
    for (int f = 0; f < field && whole; f++) {
      const size_t tab = line.find('\t');
      whole = tab != std::string::npos;
      if (whole) line.erase(0, tab + 1);
    }
    if (field > 0) line = line.substr(0, line.find('\t'));
    if (whole) found.push_back(line);
  }
  return found;
}

// The reviews of the public data, and 20 MB of both with special characters and invalid UTF-8.
struct Corpora {
  std::vector<std::string> en, zh, mixed;

  Corpora() {
    for (const char* name : {"amazonReviewSnippets_GroundTruth.txt", "movieReviewSnippets_GroundTruth.txt"})
      std::ranges::move(lines(contents(public_data / "reviews-en" / name), 2), std::back_inserter(en));
    for (const char* name : {"pos.txt", "neg.txt"})
      std::ranges::move(lines(contents(public_data / "reviews-zh" / name), 0), std::back_inserter(zh));
    Random random(20);
    for (size_t size = 0; size < 20'000'000; size += mixed.back().size()) {
      const std::string& first = en[random.below(en.size())];
      const std::string& second = zh[random.below(zh.size())];
      mixed.push_back(first + random_text(random, true) + second);
    }
  }
};

inline std::vector<std::string_view> views(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

// Rows as bytes, 1,000 at a time.
class Digest {
 public:
  void add(std::string_view row) {
    block_ += row;
    if (++rows_ % 1000 == 0) end_block();
  }
  void add(const Encodings& encodings) {
    for (int64_t r = 0; r < encodings.size(); r++) {
      const auto begin = static_cast<size_t>(encodings.rows[r]), size = encodings.rows[r + 1] - begin;
      const auto count = static_cast<uint32_t>(size);
      std::string row(reinterpret_cast<const char*>(&count), sizeof(count));
      row.append(reinterpret_cast<const char*>(encodings.ids.data() + begin), size * sizeof(int32_t));
      row.append(reinterpret_cast<const char*>(encodings.offsets.data() + begin), size * sizeof(Span));
      row.append(reinterpret_cast<const char*>(encodings.type_ids.data() + begin), size);
      row.append(reinterpret_cast<const char*>(encodings.special_mask.data() + begin), size);
      add(row);
    }
  }
  std::string finish() {
    if (rows_ % 1000 != 0) end_block();
    return datasets::sha256(blocks_);
  }

 private:
  void end_block() {
    blocks_ += datasets::sha256(block_);
    block_.clear();
  }

  std::string block_, blocks_;
  int64_t rows_ = 0;
};

inline std::string digest_of(const Tokenizer& tokenizer, std::span<const std::string_view> texts) {
  Digest digest;
  digest.add(tokenizer.encode(texts, {}, {.offsets = true}));
  return digest.finish();
}

// The options of a case of a golden file.
inline EncodeOptions options_of(const nlohmann::json& of) {
  EncodeOptions options = {.special_tokens = of["special_tokens"], .offsets = true};
  if (of["truncation"].is_null()) return options;
  const auto& cut = of["truncation"];
  options.truncation = {.max_length = cut["max_length"],
                        .strategy = cut["strategy"] == "longest_first" ? TruncationStrategy::longest_first
                                    : cut["strategy"] == "only_first"  ? TruncationStrategy::only_first
                                                                       : TruncationStrategy::only_second,
                        .side = cut["side"] == "left" ? Side::left : Side::right};
  return options;
}

inline Encodings encode_case(const Tokenizer& tokenizer, const nlohmann::json& of) {
  const std::string text = of["text"];
  if (of["pair"].is_null()) return tokenizer.encode(text, options_of(of));
  return tokenizer.encode(text, of["pair"].get<std::string>(), options_of(of));
}

// Compares the encoding and decoding of a case of a golden file.
inline void expect_case(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  using nlohmann::json;
  const Encodings found = encode_case(tokenizer, expected);
  EXPECT_EQ(json(found.ids), expected["ids"]);
  EXPECT_EQ(json(found.type_ids), expected["type_ids"]);
  EXPECT_EQ(json(found.special_mask), expected["special_mask"]);
  json offsets = json::array();
  for (const auto& [begin, end] : found.offsets) offsets.push_back({begin, end});
  EXPECT_EQ(offsets, expected["offsets"]);
  EXPECT_EQ(tokenizer.decode(found.ids, false), expected["decoded"]);
  EXPECT_EQ(tokenizer.decode(found.ids, true), expected["without_special"]);
}

}  // namespace sartor::text

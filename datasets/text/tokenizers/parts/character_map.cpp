#include "text/tokenizers/parts/character_map.h"

#include <algorithm>
#include <bitset>

#include "text/tokenizers/parts/bert_scan.h"

namespace sartor::text {
namespace {

constexpr uint32_t block_count = 0x110000 >> 8;

constexpr uint32_t bits(CharacterMap::Kind kind, uint32_t payload = 0) { return kind | payload << 3; }

CharacterMap::Kind kind_of(uint8_t properties) {
  if (properties & unicode::whitespace) return CharacterMap::space;
  return properties & unicode::punctuation ? CharacterMap::punctuation : CharacterMap::letter;
}

// Blocks of 256 code points whose entries differ.
std::bitset<block_count> mixed_blocks() {
  std::bitset<block_count> mixed;
  const auto mark_runs = [&](std::span<const uint32_t> runs) {
    for (const uint32_t run : runs) mixed.set(run >> 16);
  };
  const auto mark_sequences = [&](std::span<const uint32_t> sequences) {
    for (const uint32_t value : sequences) {
      if (value >> 24) mixed.set((value & 0xFFFFFF) >> 8);
    }
  };
  mark_runs(unicode::property_runs());
  mark_runs(unicode::combining_class_runs());
  mark_sequences(unicode::decompositions());
  mark_sequences(unicode::lowercase_sequences());
  for (const auto& run : unicode::lowercase_runs()) {
    for (uint32_t block = run.first >> 8; block <= run.last >> 8; block++) mixed.set(block);
  }
  for (uint32_t block = unicode::hangul_first >> 8; block <= unicode::hangul_last >> 8; block++) mixed.set(block);
  return mixed;
}

// Collects the whole normalized text, as in Hugging Face's NormalizedString.
struct TextSink {
  NormalizedText& normalized;

  uint32_t letters(const char* at, const char* end, const char* table, uint32_t position) {
    const char* const begin = at;
    for (; at < end && table[static_cast<uint8_t>(*at)]; at++) {
      normalized.text += table[static_cast<uint8_t>(*at)];
      normalized.origins.push_back(position++);
    }
    return static_cast<uint32_t>(at - begin);
  }
  void letter(const char* bytes, int size, uint32_t position) {
    normalized.text.append(bytes, size);
    normalized.origins.push_back(position);
  }
  void punctuation(const char* bytes, int size, uint32_t position) { letter(bytes, size, position); }
  void space(char32_t code, uint32_t position) {
    char bytes[4];
    letter(bytes, unicode::write_character(code, bytes), position);
  }
  void ideograph(const char* bytes, int size, uint32_t position) {
    space(' ', position);
    letter(bytes, size, position);
    space(' ', position);
  }
  bool full() const { return false; }
};

}  // namespace

// Unicode tables with an entry per code point, for fast lookups while a map is built.
class CharacterMap::Unpacked {
 public:
  uint8_t properties(char32_t code) const { return properties_[code]; }
  uint8_t combining_class(char32_t code) const { return combining_classes_[code]; }
  unicode::Codes decomposition(char32_t code) const {
    return properties_[code] & decomposed ? unicode::decomposition(code) : unicode::Codes{{code}, 1};
  }
  unicode::Codes lowercase(char32_t code) const {
    return properties_[code] & cased ? unicode::lowercase(code) : unicode::Codes{{code}, 1};
  }

  Unpacked() {
    mark_sequences(unicode::decompositions(), decomposed);
    mark_sequences(unicode::lowercase_sequences(), cased);
    for (const auto& [first, last, step, difference] : unicode::lowercase_runs()) {
      for (uint32_t code = first; code <= last; code += step) properties_[code] |= cased;
    }
    for (uint32_t code = unicode::hangul_first; code <= unicode::hangul_last; code++) properties_[code] |= decomposed;
  }

 private:
  static constexpr uint8_t decomposed = 64, cased = 128;  // extend unicode::Property

  static std::vector<uint8_t> unpack(std::span<const uint32_t> runs) {
    std::vector<uint8_t> values(0x110000);
    for (size_t i = 0; i < runs.size(); i++) {
      const uint32_t end = i + 1 < runs.size() ? runs[i + 1] >> 8 : 0x110000;
      std::fill(values.begin() + (runs[i] >> 8), values.begin() + end, static_cast<uint8_t>(runs[i]));
    }
    return values;
  }
  void mark_sequences(std::span<const uint32_t> sequences, uint8_t bit) {
    for (const uint32_t value : sequences) {
      if (value >> 24) properties_[value & 0xFFFFFF] |= bit;
    }
  }

  std::vector<uint8_t> properties_ = unpack(unicode::property_runs());
  std::vector<uint8_t> combining_classes_ = unpack(unicode::combining_class_runs());
};

CharacterMap::CharacterMap(const BertNormalizer& normalizer)
    : clean_(normalizer.clean_text),
      separate_(normalizer.handle_chinese_chars),
      strip_(normalizer.strip_accents.value_or(normalizer.lowercase)),
      lowercase_(normalizer.lowercase) {
  const auto mixed = mixed_blocks();
  const Unpacked tables;
  std::vector<Part> parts;
  std::vector<std::pair<uint32_t, uint16_t>> uniform;  // value of all entries, and the block's index
  for (uint32_t block = 0; block < block_count; block++) {
    const auto fresh = static_cast<uint16_t>(blocks_.size() >> 8);
    if (mixed[block]) {
      for (uint32_t i = 0; i < 256; i++) blocks_.push_back(entry(block << 8 | i, tables, parts).bits);
      block_of_.push_back(fresh);
    } else {
      const uint32_t same = entry(block << 8, tables, parts).bits;
      auto found = std::ranges::find(uniform, same, &std::pair<uint32_t, uint16_t>::first);
      if (found == uniform.end()) {
        blocks_.insert(blocks_.end(), 256, same);
        found = uniform.insert(found, {same, fresh});
      }
      block_of_.push_back(found->second);
    }
  }
  for (uint32_t byte = 0; byte < 128; byte++) {
    const Entry found = (*this)[byte];
    if (found.kind() == letter) ascii_[byte] = static_cast<char>(byte);
    if (found.kind() == replaced && found.payload() < 128) ascii_[byte] = static_cast<char>(found.payload());
  }
}

void CharacterMap::append_parts(char32_t decomposed, std::vector<Part>& parts) const {
  const auto lower = lowercase_ ? unicode::lowercase(decomposed) : unicode::Codes{{decomposed}, 1};
  for (const char32_t code : lower.span()) parts.push_back({code, kind_of(unicode::properties(code))});
}

CharacterMap::Entry CharacterMap::entry(char32_t code, const Unpacked& tables, std::vector<Part>& parts) {
  const uint8_t properties = tables.properties(code);
  if (clean_ && properties & unicode::control) return {bits(dropped)};
  if (clean_ && properties & unicode::whitespace) return {bits(space, ' ')};

  parts.clear();
  const auto decomposed = strip_ ? tables.decomposition(code) : unicode::Codes{{code}, 1};
  for (const char32_t each : decomposed.span()) {
    if (strip_ && tables.properties(each) & unicode::mark) continue;
    if (strip_ && tables.combining_class(each) > 0) return {bits(combining, 1)};
    const auto lower = lowercase_ ? tables.lowercase(each) : unicode::Codes{{each}, 1};
    for (const char32_t last : lower.span()) parts.push_back({last, kind_of(tables.properties(last))});
  }
  if (parts.empty()) return {tables.combining_class(decomposed.codes[0]) > 0 ? bits(combining, 0) : bits(dropped, 1)};

  const bool alone = separate_ && properties & unicode::ideograph;
  if (parts.size() == 1) {
    const auto [only, kind] = parts[0];
    if (only == code && kind != space) return {bits(alone ? ideograph : kind)};
    if (!alone && kind == letter) return {bits(replaced, only)};
    if (!alone && kind == space) return {bits(space, only)};
  }
  if (alone) {
    parts.insert(parts.begin(), {' ', space});
    parts.push_back({' ', space});
  }
  const auto at = static_cast<uint32_t>(pool_.size());
  pool_.push_back({static_cast<char32_t>(parts.size()), letter});
  pool_.insert(pool_.end(), parts.begin(), parts.end());
  return {bits(sequence, at)};
}

NormalizedText normalize(const CharacterMap& map, std::string_view text, uint32_t first) {
  NormalizedText normalized;
  TextSink sink{normalized};
  scan(map, text, first, sink);
  return normalized;
}

}  // namespace sartor::text

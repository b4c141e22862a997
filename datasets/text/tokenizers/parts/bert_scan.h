// One pass over a text through a CharacterMap into a sink. A template, so that each sink's loop is inlined.
#pragma once

#include <algorithm>

#include "text/tokenizers/parts/character_map.h"

namespace sartor::text {

// A sink receives the normalized text in order, each call with the index of the original character:
//   letters(at, end, table, position)    letters of a word, table[byte], up to the first byte with table[byte] = 0;
//                                        returns the number of bytes taken, at least one
//   letter(bytes, size, position)        one character of a word
//   punctuation(bytes, size, position)   a punctuation character, which is a word
//   ideograph(bytes, size, position)     an ideograph, which is a word surrounded by spaces
//   space(code, position)
//   full()                               whether to stop

template <class Sink> void put(const CharacterMap::Part& part, uint32_t position, Sink& sink) {
  char bytes[4];
  const int size = unicode::write_character(part.code, bytes);
  if (part.kind == CharacterMap::letter) sink.letter(bytes, size, position);
  if (part.kind == CharacterMap::punctuation) sink.punctuation(bytes, size, position);
  if (part.kind == CharacterMap::space) sink.space(part.code, position);
}

// Processes a run of combining characters: sorts their decompositions by combining class (NFD) and removes marks. As in
// Hugging Face's library, the first code point of each decomposition takes its origin from the next character in text
// order, whichever that is, and the others take that of the code point before them. Moves `at` past the run; returns
// its number of characters.
template <class Sink>
uint32_t scan_combining(const CharacterMap& map, const char*& at, const char* end, uint32_t position, Sink& sink) {
  bool stays = false;
  uint32_t count = 0;
  const char* ahead = at;
  while (ahead < end && !stays) {
    const char* behind = ahead;
    const auto entry = map[unicode::next_character(behind)];
    const bool of_run =
        entry.kind() == CharacterMap::combining || (entry.kind() == CharacterMap::dropped && !entry.payload());
    if (!of_run) break;
    stays = entry.kind() == CharacterMap::combining && entry.payload() == 1;
    ahead = behind;
    count++;
  }
  if (!stays) {  // the usual case
    at = ahead;
    return count;
  }

  struct Element {
    char32_t code;
    uint8_t combining_class;
    bool first;
  };
  std::vector<Element> elements;
  std::vector<uint32_t> origins;
  std::vector<CharacterMap::Part> parts;
  count = 0;
  for (const char* behind = at; at < end; at = behind, count++) {
    const char32_t code = unicode::next_character(behind);
    if (map.cleans(code)) continue;
    const auto decomposed = unicode::decomposition(code);
    if (!origins.empty() && unicode::combining_class(decomposed.codes[0]) == 0) break;
    for (int i = 0; i < decomposed.size; i++) {
      elements.push_back({decomposed.codes[i], unicode::combining_class(decomposed.codes[i]), i == 0});
    }
    origins.push_back(position + count);
  }
  std::ranges::stable_sort(elements, {}, &Element::combining_class);
  size_t taken = 0;
  for (const auto& [code, combining_class, first] : elements) {
    taken += first;
    if (unicode::properties(code) & unicode::mark) continue;
    parts.clear();
    map.append_parts(code, parts);
    for (const auto& part : parts) put(part, origins[taken - 1], sink);
  }
  return count;
}

// Scans `text`, valid UTF-8 whose first character has the index `position`. Returns the index after the last character
// scanned.
template <class Sink> uint32_t scan(const CharacterMap& map, std::string_view text, uint32_t position, Sink& sink) {
  const char *at = text.data(), *const end = at + text.size(), *const letters = map.letters();
  while (at < end && !sink.full()) {
    if (letters[static_cast<uint8_t>(*at)]) {
      const uint32_t taken = sink.letters(at, end, letters, position);
      at += taken;
      position += taken;
      continue;
    }
    const char* const begin = at;
    const auto entry = map[unicode::next_character(at)];
    const auto size = static_cast<int>(at - begin);
    switch (entry.kind()) {
      case CharacterMap::letter:
        sink.letter(begin, size, position);
        break;
      case CharacterMap::replaced:
        put({entry.payload(), CharacterMap::letter}, position, sink);
        break;
      case CharacterMap::dropped:
        break;
      case CharacterMap::space:
        sink.space(entry.payload(), position);
        break;
      case CharacterMap::punctuation:
        sink.punctuation(begin, size, position);
        break;
      case CharacterMap::ideograph:
        sink.ideograph(begin, size, position);
        break;
      case CharacterMap::sequence:
        for (const auto& part : map.sequence_at(entry.payload())) put(part, position, sink);
        break;
      case CharacterMap::combining:
        at = begin;
        position += scan_combining(map, at, end, position, sink) - 1;
        break;
    }
    position++;
  }
  return position;
}

}  // namespace sartor::text

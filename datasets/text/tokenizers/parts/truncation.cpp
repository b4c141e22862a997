#include "text/tokenizers/parts/truncation.h"

#include <algorithm>

#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;
using Json = nlohmann::ordered_json;

Side read_side(const JsonField& field) { return field.one_of<Side>({{"Right", Side::right}, {"Left", Side::left}}); }

const char* name_of(Side side) { return side == Side::left ? "Left" : "Right"; }

// Keeps the shorter text whole if possible; otherwise each text gets half, the longer one the odd token.
KeptTokens longest_first(KeptTokens all, size_t room) {
  const size_t shorter = std::min(all.first, all.second);
  size_t less = shorter, more = shorter > room ? shorter : std::max(shorter, room - shorter);
  if (less + more > room) {
    less = room / 2;
    more = less + room % 2;
  }
  return all.first > all.second ? KeptTokens{more, less} : KeptTokens{less, more};
}

}  // namespace

Truncation read_truncation(const JsonField& field) {
  Truncation made;
  made.max_length = field["max_length"].integer(0, INT64_MAX);
  made.strategy = field["strategy"].one_of<TruncationStrategy>({{"LongestFirst", TruncationStrategy::longest_first},
                                                                {"OnlyFirst", TruncationStrategy::only_first},
                                                                {"OnlySecond", TruncationStrategy::only_second}});
  made.stride = field["stride"].integer(0, INT64_MAX);
  if (field.has("direction")) made.side = read_side(field["direction"]);
  return made;
}

Padding read_padding(const JsonField& field) {
  Padding made;
  if (field["strategy"].value().is_object()) {
    made.length = field["strategy"]["Fixed"].integer(0, INT64_MAX);
  } else {
    field["strategy"].one_of<int>({{"BatchLongest", 0}});
  }
  if (!field["pad_to_multiple_of"].is_null())
    made.multiple_of = std::max<int64_t>(1, field["pad_to_multiple_of"].integer(0, INT64_MAX));
  made.side = read_side(field["direction"]);
  made.id = static_cast<int32_t>(field["pad_id"].integer(0, INT32_MAX));
  made.type_id = static_cast<uint8_t>(field["pad_type_id"].integer(0, UINT8_MAX));
  return made;
}

Json json_of(const Truncation& truncation) {
  const char* names[] = {"LongestFirst", "OnlyFirst", "OnlySecond"};
  return {{"direction", name_of(truncation.side)},
          {"max_length", truncation.max_length},
          {"strategy", names[static_cast<int>(truncation.strategy)]},
          {"stride", truncation.stride}};
}

Json json_of(const Padding& padding, const std::string& token) {
  return {{"strategy", padding.length > 0 ? Json{{"Fixed", padding.length}} : Json("BatchLongest")},
          {"direction", name_of(padding.side)},
          {"pad_to_multiple_of", padding.multiple_of > 1 ? Json(padding.multiple_of) : Json(nullptr)},
          {"pad_id", padding.id},
          {"pad_type_id", padding.type_id},
          {"pad_token", token}};
}

KeptTokens kept_tokens(KeptTokens all, bool pair, TruncationStrategy strategy, size_t room) {
  const auto [first, second] = all;
  if (room == 0) return {0, 0};
  if (first + second <= room) return all;
  const size_t surplus = first + second - room;
  switch (strategy) {
    case TruncationStrategy::only_first:
      require(first > surplus, "truncation only_first: the first text has {} tokens, but {} must be removed", first,
              surplus);
      return {first - surplus, second};
    case TruncationStrategy::only_second:
      require(pair, "truncation only_second: there is no second text; the first has {} tokens, {} too many", first,
              surplus);
      require(second > surplus, "truncation only_second: the second text has {} tokens, but {} must be removed", second,
              surplus);
      return {first, second - surplus};
    case TruncationStrategy::longest_first:
      break;
  }
  return pair ? longest_first(all, room) : KeptTokens{room, 0};
}

}  // namespace sartor::text

#include "text/tokenizers/parts/pre_tokenizer.h"

#include "storage/json_fields.h"

namespace sartor::text {
namespace {

using datasets::JsonField;
using Json = nlohmann::ordered_json;

Json byte_level(bool add_prefix_space, bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json sequence(Json first, Json second) {
  return {{"type", "Sequence"}, {"pretokenizers", {std::move(first), std::move(second)}}};
}

Json written(const BertPreTokenizer&) { return {{"type", "BertPreTokenizer"}}; }

Json written(const ByteLevelPreTokenizer& pre_tokenizer) {
  const auto [pattern, add_prefix_space] = pre_tokenizer;
  if (pattern == SplitPattern::digits)
    return sequence({{"type", "Digits"}, {"individual_digits", true}}, byte_level(add_prefix_space, true));
  if (pattern == SplitPattern::gpt2 || pattern == SplitPattern::none)
    return byte_level(add_prefix_space, pattern == SplitPattern::gpt2);
  return sequence({{"type", "Split"},
                   {"pattern", {{"Regex", regular_expression(pattern)}}},
                   {"behavior", "Isolated"},
                   {"invert", false}},
                  byte_level(add_prefix_space, false));
}

void append(const BertPreTokenizer&, nlohmann::json&) {}

void append(const ByteLevelPreTokenizer& pre_tokenizer, nlohmann::json& hashed) {
  static constexpr const char* names[] = {"none", "gpt2", "llama3", "qwen2", "digits"};
  hashed.push_back({"ByteLevel", names[static_cast<size_t>(pre_tokenizer.pattern)], pre_tokenizer.add_prefix_space});
}

// The pattern of a Split whose regular expression is known.
SplitPattern read_split(const JsonField& split) {
  split["behavior"].check(split["behavior"].value() == "Isolated", "Isolated");
  split["invert"].check(!split["invert"].flag(), "false");
  const JsonField expression = split["pattern"]["Regex"];
  const std::string text = expression.text();
  for (const auto pattern : {SplitPattern::gpt2, SplitPattern::llama3, SplitPattern::qwen2}) {
    if (text == regular_expression(pattern)) return pattern;
  }
  expression.refuse("the pattern of GPT-2, Llama 3 or Qwen2; it is " + text);
}

// ByteLevel, which splits with GPT-2's pattern itself unless use_regex is false.
ByteLevelPreTokenizer read_byte_level(const JsonField& field) {
  return {.pattern = field.flag_or("use_regex", true) ? SplitPattern::gpt2 : SplitPattern::none,
          .add_prefix_space = field["add_prefix_space"].flag()};
}

// The step before ByteLevel in a sequence, and ByteLevel itself, which must not split again after Split and must not
// add a space to each of the pieces.
ByteLevelPreTokenizer read_two(const JsonField& first, const JsonField& second) {
  enum class Step { digits, split };
  const auto step = first["type"].one_of<Step>({{"Digits", Step::digits}, {"Split", Step::split}});
  if (step == Step::digits) first["individual_digits"].check(first["individual_digits"].flag(), "true");
  second.check_type("ByteLevel");
  const auto made = read_byte_level(second);
  second["add_prefix_space"].check(!made.add_prefix_space, "false behind " + first["type"].text());
  const bool splits = made.pattern == SplitPattern::gpt2;
  second["use_regex"].check(splits == (step == Step::digits), splits ? "false behind Split" : "true behind Digits");
  return {.pattern = step == Step::digits ? SplitPattern::digits : read_split(first)};
}

ByteLevelPreTokenizer read_sequence(const JsonField& steps) {
  steps.check(steps.value().is_array() && steps.value().size() == 2, "Digits or Split, and ByteLevel");
  return read_two(steps.at(0), steps.at(1));
}

}  // namespace

PreTokenizer read_pre_tokenizer(const JsonField& field) {
  enum class Kind { bert, byte_level, sequence };
  const JsonField type = field["type"];
  type.check(type.is_null() || type.value() != "Metaspace", "ByteLevel; SentencePiece models are not supported");
  switch (type.one_of<Kind>(
      {{"BertPreTokenizer", Kind::bert}, {"ByteLevel", Kind::byte_level}, {"Sequence", Kind::sequence}})) {
    case Kind::byte_level:
      return read_byte_level(field);
    case Kind::sequence:
      return read_sequence(field["pretokenizers"]);
    default:
      return BertPreTokenizer();
  }
}

Json json_of(const PreTokenizer& pre_tokenizer) {
  return std::visit([](const auto& each) { return written(each); }, pre_tokenizer);
}

void check_agreement(const PreTokenizer& pre_tokenizer, const JsonField& config) {
  const auto* byte_level = std::get_if<ByteLevelPreTokenizer>(&pre_tokenizer);
  const JsonField flag = config["add_prefix_space"];
  if (!byte_level || flag.is_null()) return;
  flag.check(flag.flag() == byte_level->add_prefix_space,
             fmt::format("{} as in tokenizer.json", byte_level->add_prefix_space));
}

void append_hashed(const PreTokenizer& pre_tokenizer, nlohmann::json& hashed) {
  std::visit([&](const auto& each) { append(each, hashed); }, pre_tokenizer);
}

}  // namespace sartor::text

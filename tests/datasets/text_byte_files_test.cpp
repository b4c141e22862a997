// Files of byte-level BPE: tokenizer.json, and vocab.json with merges.txt.
#include <set>
#include "datasets/text_support.h"
#include "support/faults/faults.h"
#include "support/folder_test.h"
#include "text/tokenizers/parts/byte_alphabet.h"

namespace sartor::text {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class ByteBpeFiles : public testing::FolderTest {
 protected:
  // Files of a small GPT-2.
  void write_gpt2(const std::string& config = "", const char* merges = "#version: 0.2\nĠ t\nĠt h\na b\n") {
    json ids = json::object();
    for (int byte = 0; byte < 256; byte++) ids[std::string(byte_character(static_cast<uint8_t>(byte)))] = byte;
    ids["Ġt"] = 256;
    ids["Ġth"] = 257;
    ids["ab"] = 258;
    ids["<|endoftext|>"] = 259;
    write("vocab.json", ids.dump());
    write("merges.txt", merges);
    if (!config.empty()) write("tokenizer_config.json", config);
  }
  std::vector<int32_t> ids(std::string_view text) const { return Tokenizer(read_tokenizer(folder_)).encode(text).ids; }
};

const json split = {{"type", "Split"}, {"pattern", {{"Regex", ""}}}, {"behavior", "Isolated"}, {"invert", false}};
const json byte_level = {
    {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};

json sequence(const json& first, const json& second) {
  return {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {first, second}}}}};
}

void expect_refused(const json& patch, const std::string& message) {
  EXPECT_THAT([&] { byte_spec(patch); }, ThrowsMessage<std::invalid_argument>("byte_tokenizer.json: " + message));
}

TEST(ByteBpeJson, MergesAreStringsOrPairs) {
  const auto spec = byte_spec();
  json strings = json::array();
  for (const auto& [left, right] : std::get<ByteBpe>(spec.model).merges) strings.push_back(left + ' ' + right);
  const auto other = byte_spec({{"model", {{"merges", strings}}}});
  EXPECT_EQ(std::get<ByteBpe>(other.model).merges, std::get<ByteBpe>(spec.model).merges);
  EXPECT_EQ(hash_of(other), hash_of(spec));
  auto untyped = golden_json("byte_tokenizer.json");  // as in GPT-2's own file
  untyped["model"].erase("type");
  EXPECT_EQ(hash_of(parse_tokenizer_json(untyped.dump(), "")), hash_of(spec));
}

TEST(ByteBpeJson, RefusesByNameWhatItCannotDo) {
  const auto model = [](const char* key, json value) { return json{{"model", {{key, value}}}}; };
  expect_refused(model("byte_fallback", true),
                 "model.byte_fallback is true, expected false; SentencePiece models are not supported");
  expect_refused({{"pre_tokenizer", {{"type", "Metaspace"}}}},
                 "pre_tokenizer.type is \"Metaspace\", expected ByteLevel; SentencePiece models are not supported");
  expect_refused({{"normalizer", {{"type", "Prepend"}}}},
                 "normalizer.type is \"Prepend\", expected one of BertNormalizer, NFC");
  expect_refused(model("dropout", 0.1), "model.dropout is 0.1, expected null or 0");
  expect_refused(model("continuing_subword_prefix", "##"),
                 "model.continuing_subword_prefix is \"##\", expected null or an empty string");
  expect_refused(model("end_of_word_suffix", "</w>"),
                 "model.end_of_word_suffix is \"</w>\", expected null or an empty string");
  EXPECT_NO_THROW(byte_spec(model("unk_token", "<|endoftext|>")));  // without effect: the vocabulary has all bytes
  auto lacking = golden_json("byte_tokenizer.json");
  lacking["model"]["vocab"].erase("Ġ");
  lacking["model"]["unk_token"] = "<|endoftext|>";
  EXPECT_THAT(
      [&] { parse_tokenizer_json(lacking.dump(), "t.json"); },
      ThrowsMessage<std::invalid_argument>("t.json: model.unk_token is \"<|endoftext|>\", expected null, because "
                                           "the vocabulary lacks Ġ (byte 32)"));
}

TEST(ByteBpeJson, RefusesOtherSteps) {
  json other = split, removed = split, inverted = split, digits = {{"type", "Digits"}, {"individual_digits", false}};
  other["pattern"]["Regex"] = R"(\p{L}+|\p{M}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ and more)";
  EXPECT_THAT([&] { byte_spec(sequence(other, byte_level)); },
              ThrowsMessage<std::invalid_argument>(
                  AllOf(HasSubstr("pre_tokenizer.pretokenizers[0].pattern.Regex is "),
                        HasSubstr("expected the pattern of GPT-2, Llama 3 or Qwen2; it is \\p{L}+|\\p{M}| "),
                        ::testing::EndsWith("|\\s+ and more"))));
  removed["behavior"] = "Removed";
  expect_refused(sequence(removed, byte_level),
                 "pre_tokenizer.pretokenizers[0].behavior is \"Removed\", expected Isolated");
  inverted["invert"] = true;
  expect_refused(sequence(inverted, byte_level), "pre_tokenizer.pretokenizers[0].invert is true, expected false");
  expect_refused(sequence(digits, byte_level),
                 "pre_tokenizer.pretokenizers[0].individual_digits is false, expected true");
  digits["individual_digits"] = true;
  expect_refused(sequence(digits, byte_level),
                 "pre_tokenizer.pretokenizers[1].use_regex is false, expected true behind Digits");
  json spaced = byte_level;
  spaced["add_prefix_space"] = true;
  expect_refused(sequence(split, spaced),
                 "pre_tokenizer.pretokenizers[1].add_prefix_space is true, expected false behind Split");
  expect_refused(sequence(byte_level, byte_level),
                 "pre_tokenizer.pretokenizers[0].type is \"ByteLevel\", expected one of Digits, Split");
  expect_refused({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {byte_level}}}}},
                 "pre_tokenizer.pretokenizers is array, expected Digits or Split, and ByteLevel");
  expect_refused({{"post_processor", {{"type", "Sequence"}, {"processors", json::array()}}}},
                 "post_processor.processors is array, expected ByteLevel and TemplateProcessing");
}

TEST(ByteBpeJson, RefusesWhatIsBroken) {
  const auto merges = [](json list) { return json{{"model", {{"merges", list}}}}; };
  expect_refused(merges(nullptr), "model.merges is missing or null, expected a list");
  expect_refused(merges({"a"}), "model.merges[0] is \"a\", expected two tokens with a space between them");
  expect_refused(merges({"a b", "a b c"}),
                 "model.merges[1] is \"a b c\", expected two tokens with a space between them");
  expect_refused(merges({json::array({"a", "b"}), "a b"}), "model.merges[1] is \"a b\", expected a list of two tokens");
  expect_refused(merges(json::array({json::array({"a"})})), "model.merges[0] is array, expected two tokens");
  expect_refused(merges(json::array({json::array({"a", 1})})), "model.merges[0][1] is 1, expected a string");
  EXPECT_THAT([&] { Tokenizer made(byte_spec(merges({"q q"}))); },
              ThrowsMessage<std::invalid_argument>("merges[0] (q q): qq is not in the vocabulary"));
  auto spec = byte_spec();
  spec.normalizer = BertNormalizer();
  EXPECT_THAT([&] { Tokenizer made(spec); },
              ThrowsMessage<std::invalid_argument>("BPE needs the normalizer NFC or none"));
  spec = byte_spec();
  spec.pre_tokenizer = BertPreTokenizer();
  EXPECT_THAT([&] { Tokenizer made(spec); },
              ThrowsMessage<std::invalid_argument>("BPE needs the pre-tokenizer ByteLevel"));
  spec = golden_spec();
  spec.normalizer = Nfc();
  EXPECT_THAT([&] { Tokenizer made(spec); },
              ThrowsMessage<std::invalid_argument>("the normalizer is NFC, expected BertNormalizer or none"));
  spec.normalizer = NoNormalizer();
  spec.pre_tokenizer = ByteLevelPreTokenizer();
  EXPECT_THAT([&] { Tokenizer made(spec); },
              ThrowsMessage<std::invalid_argument>("WordPiece needs the pre-tokenizer BertPreTokenizer"));
}

TEST(ByteBpeJson, HashesDependOnWhatDeterminesIds) {
  std::set<std::string> hashes = {hash_of(golden_spec())};
  int64_t specs = 1;
  const auto differs = [&](auto change) {
    auto spec = byte_spec();
    change(spec);
    hashes.insert(hash_of(spec));
    EXPECT_EQ(std::ssize(hashes), ++specs);
  };
  differs([](auto&) {});
  differs([](auto& spec) { std::get<ByteBpe>(spec.model).ignore_merges = true; });
  differs(
      [](auto& spec) { std::swap(std::get<ByteBpe>(spec.model).merges[0], std::get<ByteBpe>(spec.model).merges[1]); });
  differs([](auto& spec) { std::get<ByteBpe>(spec.model).merges.pop_back(); });
  differs([](auto& spec) { spec.normalizer = Nfc(); });
  differs([](auto& spec) { spec.pre_tokenizer = ByteLevelPreTokenizer{.add_prefix_space = true}; });
  using enum SplitPattern;
  for (const auto pattern : {none, llama3, qwen2, digits})
    differs([&](auto& spec) { spec.pre_tokenizer = ByteLevelPreTokenizer{.pattern = pattern}; });
  auto trimmed = byte_spec();
  trimmed.post_processor = ByteLevelProcessing();  // changes offsets alone
  EXPECT_EQ(hash_of(trimmed), hash_of(byte_spec()));
}

TEST_F(ByteBpeFiles, ComeBackAsTheyWereWritten) {
  const json golden = golden_json("byte_bpe.json");
  for (const json& group : golden["cases"]) {
    SCOPED_TRACE(group["name"]);
    const auto spec = byte_spec(group["patch"]);
    write_tokenizer(folder_, spec, 512);
    EXPECT_THAT(files(), ElementsAre("merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"));
    const auto back = read_tokenizer(folder_);
    EXPECT_EQ(back.vocabulary, spec.vocabulary);
    EXPECT_THAT(back.added_tokens, ::testing::UnorderedElementsAreArray(spec.added_tokens));
    EXPECT_EQ(back.normalizer, spec.normalizer);
    EXPECT_EQ(back.pre_tokenizer, spec.pre_tokenizer);
    EXPECT_EQ(back.post_processor, spec.post_processor);
    EXPECT_EQ(back.decoder, spec.decoder);
    EXPECT_EQ(hash_of(back), hash_of(spec));
  }
}

TEST_F(ByteBpeFiles, OfGpt2AloneGiveTheSameIds) {
  auto spec = byte_spec();
  write_tokenizer(folder_, spec, 512);
  std::filesystem::remove(path("tokenizer.json"));
  write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  const auto back = read_tokenizer(folder_);
  EXPECT_EQ(back.vocabulary, spec.vocabulary);
  EXPECT_EQ(std::get<ByteBpe>(back.model).merges, std::get<ByteBpe>(spec.model).merges);
  EXPECT_EQ(back.pre_tokenizer, spec.pre_tokenizer);
  spec = byte_spec();
  std::get<ByteBpe>(spec.model).merges = {{"a b", "c"}};
  EXPECT_THAT([&] { write_tokenizer(folder_, spec, 512); },
              ThrowsMessage<std::invalid_argument>("merges.txt: cannot express a merge of \"a b\" and \"c\""));
}

// Ids and order of added tokens as in AutoTokenizer of transformers 5.23.
TEST_F(ByteBpeFiles, AreWhatTransformersMakesOfThem) {
  write_gpt2();
  EXPECT_THAT(ids("ab the<|endoftext|>"), ElementsAre(258, 257, 'e', 259));
  write_gpt2(R"({"add_prefix_space": true, "add_bos_token": true})");
  EXPECT_THAT(ids("the"), ElementsAre(259, 257, 'e'));
  write_gpt2(R"({"tokenizer_class": "GPT2TokenizerFast", "pad_token": "<pad>", "bos_token": "<s>",
                 "additional_special_tokens": ["<x>"], "add_eos_token": true})");
  const Tokenizer named(read_tokenizer(folder_));
  EXPECT_EQ(named.id_of("<s>"), 260);
  EXPECT_EQ(named.id_of("<pad>"), 261);
  EXPECT_EQ(named.id_of("<x>"), 262);
  EXPECT_THAT(named.encode("ab", "ab").ids, ElementsAre(258, 259, 258, 259));
  EXPECT_THAT(named.encode("ab", "ab").type_ids, ElementsAre(0, 0, 1, 1));
  write_gpt2(R"({"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "bos_token": null, "unk_token": null,
                 "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})");
  const auto qwen = read_tokenizer(folder_);
  EXPECT_EQ(qwen.normalizer, Normalizer(Nfc()));
  EXPECT_EQ(qwen.pre_tokenizer, PreTokenizer(ByteLevelPreTokenizer{.pattern = SplitPattern::qwen2}));
  EXPECT_EQ(Tokenizer(qwen).id_of("<|im_end|>"), 260);
  EXPECT_EQ(Tokenizer(qwen).id_of("<|im_start|>"), 261);
  write_gpt2(R"({"tokenizer_class": "LlamaTokenizer"})");
  EXPECT_THAT(
      [&] { read_tokenizer(folder_); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("tokenizer_class is \"LlamaTokenizer\", expected one of")));
  write_gpt2(R"({"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": true})");
  EXPECT_THAT([&] { read_tokenizer(folder_); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("bos_token is missing or null, expected a token, because add_bos_token is true")));
}

TEST_F(ByteBpeFiles, AreRefusedWithTheLine) {
  write_gpt2("", "#version: 0.2\na b\r\nab\n");
  EXPECT_THAT([&] { read_tokenizer(folder_); },
              ThrowsMessage<std::invalid_argument>(
                  HasSubstr("merges.txt:3: found \"ab\", expected two tokens with a space between them")));
  write_gpt2("", "a b\na \xff\n");
  EXPECT_THAT([&] { read_tokenizer(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("merges.txt:2: invalid UTF-8")));
  write_gpt2("", "a z\n");
  EXPECT_THAT([&] { Tokenizer made(read_tokenizer(folder_)); },
              ThrowsMessage<std::invalid_argument>("merges[0] (a z): az is not in the vocabulary"));
  std::filesystem::remove(path("merges.txt"));
  EXPECT_THAT([&] { read_tokenizer(folder_); },
              ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("merges.txt"), HasSubstr("No such file"))));
}

TEST_F(ByteBpeFiles, OfSentencePieceAloneAreRefused) {
  write("tokenizer.model", "\x0a\x05");
  EXPECT_THAT([&] { read_tokenizer(folder_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr(
                  "has neither tokenizer.json nor vocab.txt nor vocab.json, only tokenizer.model; SentencePiece "
                  "models are not supported")));
}

TEST_F(ByteBpeFiles, MustAgree) {
  write("tokenizer.json", golden_json("byte_tokenizer.json").dump());
  write("tokenizer_config.json", R"({"add_prefix_space": false})");
  EXPECT_NO_THROW(read_tokenizer(folder_));
  write("tokenizer_config.json", R"({"add_prefix_space": true})");
  EXPECT_THAT(
      [&] { read_tokenizer(folder_); },
      ThrowsMessage<std::invalid_argument>(HasSubstr("add_prefix_space is true, expected false as in tokenizer.json")));
}

// Requires the transformers installation of scripts/test.sh.
TEST_F(ByteBpeFiles, OpenInTransformersWithTheSameIds) {
  const std::string library = sartor::testing::source_path("build/transformers");
  if (!std::filesystem::exists(library)) GTEST_SKIP() << library << " is missing: run scripts/setup.sh tests";
  auto texts = random_texts(300);
  for (const char* text : {"", " a 12  \n\n", "我喜欢 it!", "e\u0301<|endoftext|> x", "<|im_end|> Foo"})
    texts.emplace_back(text);
  std::erase_if(texts, [](const auto& text) { return text.find('\0') != std::string::npos; });
  std::string bytes, folders;
  for (const auto& text : texts) bytes += text + '\0';
  std::vector<std::filesystem::path> written;
  const json golden = golden_json("byte_bpe.json");
  for (const json& group : golden["cases"]) {
    written.push_back(folder_ / std::to_string(written.size()));
    std::filesystem::create_directory(written.back());
    write_tokenizer(written.back(), byte_spec(group["patch"]), 512);
    folders += written.back().string() + '\n';
  }
  const auto asked = sartor::run_command(
      {sartor::testing::venv_program("python"), sartor::testing::source_path("tests/datasets/ask_tokenizers.py"),
       write("folders", folders), write("texts", bytes), path("answer.json")},
      {"PYTHONPATH=" + library});
  ASSERT_EQ(asked.status, 0) << asked.err;
  const json answer = json::parse(read("answer.json"));
  ASSERT_EQ(answer.size(), written.size());
  for (size_t i = 0; i < written.size(); i++) {
    const Tokenizer tokenizer(read_tokenizer(written[i]));
    for (size_t t = 0; t < texts.size(); t++)
      EXPECT_EQ(tokenizer.encode(texts[t]).ids, answer[i][t].get<std::vector<int32_t>>()) << written[i] << texts[t];
  }
}

}  // namespace
}  // namespace sartor::text

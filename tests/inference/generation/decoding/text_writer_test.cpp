#include "inference/generation/decoding/naive_writer.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TextWriterTest : public ::testing::Test {
 protected:
  // A model that writes this text after a prompt of `prompt` tokens, then end tokens.
  FakeModel script(const std::string& text, int64_t prompt) const {
    auto ids = tokenizer_.encode(text, {.special_tokens = false}).ids;
    return {tokenizer_.vocabulary_size(), [ids, prompt, end = end_](std::span<const int32_t> all) {
              const int64_t next = std::ssize(all) - prompt;
              return next < std::ssize(ids) ? ids[next] : end;
            }};
  }

  Written write(const FakeModel& model, const Ids& prompt, const DecodingConfig& config, Ids ends) {
    FakeDecoder decoder(model);
    TextWriter writer(decoder, tokenizer_, config, std::move(ends));
    pieces_.clear();
    std::vector<Prompt> prompts = {{.row = 4, .ids = prompt}};
    Written result;
    writer.write(
        each_of(prompts),
        [&](Written written) {
          result = std::move(written);
          return std::nullopt;
        },
        [&](std::string_view piece) { pieces_.emplace_back(piece); });
    std::string all;
    for (const auto& piece : pieces_) all += piece;
    EXPECT_EQ(all, result.text);
    return result;
  }
  Written write_text(const std::string& text, const DecodingConfig& config) {
    return write(script(text, 3), {50, 51, 52}, config, {end_});
  }

  template <class Function> void expect_error(const Function& function, const std::string& message) {
    EXPECT_THAT(function, ThrowsMessage<std::invalid_argument>(HasSubstr(message)));
  }

  const text::Tokenizer tokenizer_ = byte_tokenizer();
  const int32_t end_ = *tokenizer_.id_of("<|endoftext|>"), other_end_ = *tokenizer_.id_of("<|im_end|>");
  std::vector<std::string> pieces_;
  DecodingConfig greedy_;
};

TEST_F(TextWriterTest, EndsAtAnyEndToken) {
  const auto written = write_text("好的 ok", greedy_);
  EXPECT_EQ(written.row, 4);
  EXPECT_EQ(written.text, "好的 ok");
  EXPECT_EQ(written.end, EndReason::end_token);
  EXPECT_EQ(written.ids.back(), end_);
  auto model = script("ok", 3);
  model.next = [&, first = model.next](auto ids) { return first(ids) == end_ ? other_end_ : first(ids); };
  const auto other = write(model, {50, 51, 52}, greedy_, {end_, other_end_, other_end_});
  EXPECT_EQ(other.text, "ok");
  EXPECT_EQ(other.ids.back(), other_end_);
}

TEST_F(TextWriterTest, AnEndTokenMayComeFirst) {
  const auto written = write_text("", greedy_);
  EXPECT_EQ(written.text, "");
  EXPECT_THAT(written.ids, ElementsAre(end_));
  EXPECT_EQ(written.end, EndReason::end_token);
}

TEST_F(TextWriterTest, AnEndTokenWithATextOfItsOwnIsNotPartOfTheText) {
  const int32_t newline = tokenizer_.encode("\n", {.special_tokens = false}).ids.at(0);
  const auto written = write(script("ok\nmore", 3), {50, 51, 52}, greedy_, {newline});
  EXPECT_EQ(written.text, "ok");
  EXPECT_EQ(written.end, EndReason::end_token);
}

TEST_F(TextWriterTest, MinNewTokensDelayTheEnd) {
  greedy_.min_new_tokens = 5;
  greedy_.max_new_tokens = 5;
  const auto written = write_text("", greedy_);
  EXPECT_EQ(written.ids.size(), 5u);
  EXPECT_EQ(written.end, EndReason::length);
  EXPECT_EQ(std::ranges::count(written.ids, end_), 0);
  greedy_.max_new_tokens = 20;
  EXPECT_EQ(write_text("", greedy_).ids.size(), 6u);
}

TEST_F(TextWriterTest, IgnoresEndTokensOnRequest) {
  greedy_.ignore_eos = true;
  greedy_.max_new_tokens = 6;
  const auto written = write_text("o", greedy_);
  EXPECT_EQ(written.text, "o");  // special tokens have no text
  EXPECT_EQ(written.ids.size(), 6u);
  EXPECT_EQ(written.end, EndReason::length);
}

TEST_F(TextWriterTest, EndsBeforeAStopStringAcrossPieces) {
  greedy_.stop_strings = {"终了", "<<end>>"};
  const auto chinese = write_text("好，终终了。", greedy_);
  EXPECT_EQ(chinese.text, "好，终");
  EXPECT_EQ(chinese.end, EndReason::stop_string);
  EXPECT_EQ(tokenizer_.decode(chinese.ids), "好，终终了");
  EXPECT_EQ(write_text("a <<end>> b", greedy_).text, "a ");
  EXPECT_EQ(write_text("a <<end> b", greedy_).text, "a <<end> b");
  EXPECT_EQ(write_text("<<end>>", greedy_).text, "");
}

TEST_F(TextWriterTest, AStopStringMayBeTheFirstToken) {
  greedy_.stop_strings = {"x"};
  const auto written = write_text("xyz", greedy_);
  EXPECT_EQ(written.text, "");
  EXPECT_EQ(written.ids.size(), 1u);
  EXPECT_EQ(written.end, EndReason::stop_string);
}

TEST_F(TextWriterTest, GivesPiecesAsSoonAsTheyAreCertain) {
  greedy_.stop_strings = {"zz"};
  write_text("a终zb", greedy_);
  EXPECT_THAT(pieces_, ElementsAre("a", "终", "zb"));
}

TEST_F(TextWriterTest, IncompleteCharactersAreReplaced) {
  greedy_.max_new_tokens = 4;
  const auto written = write_text("a终终", greedy_);  // 7 bytes, each a token
  EXPECT_EQ(written.text, "a终");
  greedy_.max_new_tokens = 5;
  EXPECT_EQ(write_text("a终终", greedy_).text, "a终\uFFFD");
  FakeModel broken{tokenizer_.vocabulary_size(),
                   [&](auto) { return tokenizer_.encode("终", {.special_tokens = false}).ids.at(1); }};
  EXPECT_EQ(write(broken, {50}, greedy_, {}).text, "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
}

TEST_F(TextWriterTest, WritesUpToTheModelsLength) {
  FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()}, 100);
  greedy_.max_new_tokens = 40;
  TextWriter writer(decoder, tokenizer_, greedy_, {});
  EXPECT_EQ(write_all(writer, {{.row = 0, .ids = Ids(60, 50)}}).at({0, 0}).ids.size(), 40u);
  expect_error([&] { write_all(writer, {{.row = 7, .ids = Ids(61, 50)}}); },
               "row 7: the prompt has 61 tokens, which with max_new_tokens 40 exceeds the 100 positions of the model");
}

TEST_F(TextWriterTest, RejectsPromptsThatCannotBeContinued) {
  FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()});
  TextWriter writer(decoder, tokenizer_, greedy_, {end_}, {.cache_bytes = 5000});
  const auto size = static_cast<int32_t>(tokenizer_.vocabulary_size());
  expect_error([&] { write_all(writer, {{.row = 3}}); }, "row 3: the prompt has no tokens");
  expect_error(
      [&] {
        write_all(writer, {{.row = 3, .ids = {1, size}}});
      },
      fmt::format("row 3: the prompt contains token {}, but the model has {} tokens", size, size));
  expect_error([&] { write_all(writer, {{.row = 3, .ids = {1, -1}}}); }, "row 3: the prompt contains token -1");
  expect_error([&] { write_all(writer, {{.row = 3, .ids = {1}, .variants = 2}}); },
               "row 3: 2 variants, but without do_sample: true or num_beams above 1 all would be equal");
  expect_error([&] { write_all(writer, {{.row = 3, .ids = {1}, .variants = 0}}); }, "row 3: 0 variants");
  expect_error([&] { write_all(writer, {{.row = 3, .ids = {1}, .max_new_tokens = 65}}); },
               "row 3: max_new_tokens of the prompt is 65, expected 1 to 64");
  expect_error([&] { write_all(writer, {{.row = 3, .ids = {1}, .max_new_tokens = 0}}); },
               "row 3: max_new_tokens of the prompt is 0, expected 1 to 64");
  expect_error([&] { write_all(writer, {{.row = 3, .ids = Ids(30, 1)}}); },
               "row 3: the prompt has 30 tokens, which with max_new_tokens 64 and num_beams 1 needs 6 blocks of 1000 "
               "bytes in the cache, but cache_bytes has room for 5");
  EXPECT_EQ(writer.counts().used_blocks, 0);
}

TEST_F(TextWriterTest, RejectsConfigsThatDoNotFitTheModel) {
  FakeDecoder decoder(FakeModel{10});
  const auto writer = [&](DecodingConfig config, Ids ends, WriterLimits limits = {}) {
    return [&, config, ends, limits] { TextWriter(decoder, tokenizer_, config, ends, limits); };
  };
  expect_error(writer(greedy_, {10}), "the end token is 10, but the model has 10 tokens");
  expect_error(writer(greedy_, {}, {.cache_bytes = 999}), "cache_bytes is 999, but a block of 16 tokens needs 1000");
  DecodingConfig beams;
  beams.num_beams = 4;
  expect_error(writer(beams, {1, 2}), "4 beams need a vocabulary of at least 12 tokens, but the model has 10");
  beams.num_return_sequences = 5;
  expect_error(writer(beams, {}), "num_return_sequences is 5, more than num_beams 4");
  beams.num_return_sequences = 1;
  TextWriter two(decoder, tokenizer_, beams, {});
  expect_error([&] { write_all(two, {{.row = 1, .ids = {1}, .variants = 5}}); },
               "row 1: 5 variants, more than num_beams 4");
  expect_error([&] { write_all(two, {{.row = 1, .ids = {1}, .max_new_tokens = 3}}); },
               "row 1: max_new_tokens of the prompt is 3, but all beams are written up to 64");
}

TEST_F(TextWriterTest, AVocabularyOfOneTokenHasOneText) {
  FakeDecoder decoder(FakeModel{1});
  greedy_.max_new_tokens = 3;
  TextWriter writer(decoder, tokenizer_, greedy_, {});
  const auto written = write_all(writer, {{.row = 0, .ids = {0}}}).at({0, 0});
  EXPECT_THAT(written.ids, ElementsAre(0, 0, 0));
  EXPECT_EQ(written.log_probability, 0);
}

TEST_F(TextWriterTest, ShortHistoriesHaveNoNgrams) {
  for (const int64_t n : {1, 2, 3, 100}) {
    greedy_.no_repeat_ngram_size = n;
    greedy_.max_new_tokens = 30;
    FakeModel same{tokenizer_.vocabulary_size(), [](auto) { return 60; }};
    const auto ids = write(same, {60}, greedy_, {}).ids;
    EXPECT_EQ(std::ranges::find_if(ids, [](int32_t id) { return id != 60; }) - ids.begin(),
              std::min<int64_t>(n - 1, 30));
  }
}

TEST_F(TextWriterTest, RejectedVariantsAreReplaced) {
  DecodingConfig sampling;
  sampling.do_sample = true;
  sampling.max_new_tokens = 10;
  const auto prompts = random_prompts(9, tokenizer_.vocabulary_size(), 3);
  for (const int64_t max_sequences : {1, 4, 64}) {
    FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()});
    TextWriter writer(decoder, tokenizer_, sampling, {end_}, {.max_sequences = max_sequences});
    Texts texts;
    writer.write(each_of(prompts), [&](Written written) -> std::optional<Prompt> {
      const auto row = written.row;
      const auto variant = written.variant;
      add_text(texts, std::move(written));
      if (variant >= 20) return std::nullopt;
      return Prompt{.row = row, .ids = prompts[row].ids, .first_variant = variant + 10};
    });
    std::vector<Prompt> all;
    for (const auto& prompt : prompts) {
      for (const int32_t first : {0, 10, 20}) all.push_back({prompt.row, prompt.ids, first, prompt.variants});
    }
    EXPECT_EQ(
        texts,
        NaiveWriter([](auto ids) { return FakeModel{290}.logits(ids); }, tokenizer_, sampling, {end_}).write(all));
    EXPECT_EQ(writer.counts().used_blocks, 0);
  }
}

TEST_F(TextWriterTest, ContinuesAfterExceptions) {
  DecodingConfig sampling;
  sampling.do_sample = true;
  sampling.max_new_tokens = 10;
  const auto prompts = random_prompts(9, tokenizer_.vocabulary_size(), 3);
  FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()});
  for (const int64_t lag : {0, 1}) {
    TextWriter writer(decoder, tokenizer_, sampling, {end_}, {.lag = lag});
    const auto expected = write_all(writer, prompts);
    const auto fails = [](Written) -> std::optional<Prompt> { throw std::runtime_error("the disk is full"); };
    EXPECT_THROW(writer.write(each_of(prompts), fails), std::runtime_error);
    EXPECT_EQ(writer.counts().used_blocks, 0);
    for (const int64_t tokens : {1, 100, 200}) {
      decoder.fails_at = decoder.tokens + tokens;
      EXPECT_THROW(write_all(writer, prompts), std::runtime_error);
      decoder.fails_at = -1;
      EXPECT_EQ(write_all(writer, prompts), expected);
    }
  }
}

TEST_F(TextWriterTest, NothingToWriteIsNoStep) {
  FakeDecoder decoder(FakeModel{tokenizer_.vocabulary_size()});
  TextWriter writer(decoder, tokenizer_, greedy_, {end_});
  EXPECT_TRUE(write_all(writer, {}).empty());
  EXPECT_EQ(writer.counts().steps, 0);
}

}  // namespace
}  // namespace sartor::inference

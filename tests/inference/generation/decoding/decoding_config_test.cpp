#include "generation/decoding_config.h"

#include <gmock/gmock.h>

#include "generation/text_writer.h"
#include "schema/config.h"
#include "schema/document.h"

namespace sartor::inference {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

struct Job {
  DecodingConfig decoding;
  WriterLimits limits;
  template <class Fields> void describe(Fields& field) {
    field("decoding", decoding, "");
    field("limits", limits, "");
  }
};

Job read(const std::string& yaml) { return read_config<Job>(parse_document(yaml, "job.yaml", {})); }

TEST(DecodingConfig, IsReadWithTheNamesOfTransformers) {
  const auto job = read(
      "decoding: {max_new_tokens: 8, num_beams: 4, num_return_sequences: 2, early_stopping: true, length_penalty: "
      "-0.5,\n"
      "           stop_strings: [\"\\n\", 。], banned_phrases: [免费]}\n"
      "limits: {max_sequences: 3}\n");
  EXPECT_EQ(job.decoding.num_beams, 4);
  EXPECT_EQ(job.decoding.early_stopping, EarlyStopping::yes);
  EXPECT_THAT(job.decoding.stop_strings, ::testing::ElementsAre("\n", "。"));
  EXPECT_EQ(job.limits.max_sequences, 3);
  EXPECT_EQ(read("decoding: {num_beams: 2, early_stopping: never}").decoding.early_stopping, EarlyStopping::never);
  EXPECT_EQ(read("decoding: {num_beams: 2, early_stopping: false}").decoding.early_stopping, EarlyStopping::no);
}

struct Broken {
  const char* decoding;
  const char* message;
};

TEST(DecodingConfig, RejectsContradictions) {
  static constexpr Broken cases[] = {
      {"num_return_sequences: 2", "num_return_sequences is 2, but without do_sample: true or num_beams above 1"},
      {"num_beams: 2, num_return_sequences: 3", "num_return_sequences is 3, more than num_beams 2"},
      {"num_beams: 2, do_sample: true", "num_beams is 2, which requires do_sample: false"},
      {"temperature: 0.7", "temperature is 0.7, which requires do_sample: true"},
      {"top_k: 50", "top_k is 50, which requires do_sample: true"},
      {"top_p: 0.9", "top_p is 0.9, which requires do_sample: true"},
      {"min_p: 0.1", "min_p is 0.1, which requires do_sample: true"},
      {"length_penalty: 2", "length_penalty is 2, which requires num_beams above 1"},
      {"early_stopping: never", "early_stopping is never, which requires num_beams above 1"},
      {"max_new_tokens: 4, min_new_tokens: 5", "min_new_tokens is 5, more than max_new_tokens 4"},
      {"stop_strings: [a, \"\"]", "stop_strings[1] is empty"},
      {"banned_phrases: [\"\"]", "banned_phrases[0] is empty"},
      {"max_new_tokens: 0", "max_new_tokens"},
      {"do_sample: true, temperature: 0", "temperature"},
      {"do_sample: true, top_p: 0", "top_p"},
      {"do_sample: true, top_p: 1.5", "top_p"},
      {"repetition_penalty: 0", "repetition_penalty"},
      {"early_stopping: sometimes", "early_stopping"},
      {"seed: -1", "seed"},
      {"num_beam: 2", "num_beam"},
  };
  for (const auto& [decoding, message] : cases) {
    EXPECT_THAT([&] { read(fmt::format("decoding: {{{}}}", decoding)); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(message)))
        << decoding;
  }
}

TEST(DecodingConfig, RejectsTextsThatAreNotUtf8) {
  DecodingConfig config;
  config.stop_strings = {"ok", "\xE5\xA5"};
  EXPECT_THAT([&] { config.check(); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("stop_strings[1] is not valid UTF-8")));
}

}  // namespace
}  // namespace sartor::inference

// CSV file for people who review texts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "copy/copy_record.h"
#include "copy/generate_config.h"

namespace sartor::inference {

// Draws rows at random from texts that pass by: the same ones for the same seed, whatever the order of the rows.
class ReviewSample {
 public:
  ReviewSample(int64_t rows, int64_t seed) : size_(rows), seed_(seed) {}

  void add(const CopyRecord& record);

  // Writes a row per text, in the order of the source, with the columns row, id (if has_id), variant, prompt, text,
  // rejected, and the empty columns approved and comment. The file begins with a byte order mark, so that spreadsheets
  // recognize UTF-8.
  void write(const std::filesystem::path& path, bool has_id) const;

 private:
  struct Text {
    int64_t variant;
    std::string text, rejected;
  };
  struct Row {
    int64_t row;
    std::string id, prompt;
    std::vector<Text> texts;
  };

  const int64_t size_, seed_;
  std::map<std::pair<uint64_t, int64_t>, Row> rows_;  // by random numbers, then row
};

}  // namespace sartor::inference

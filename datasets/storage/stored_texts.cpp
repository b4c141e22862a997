#include "storage/stored_texts.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/require.h"

namespace sartor::datasets {
namespace {

Content content_of(const Hdf5File& file) {
  if (!file.has_attribute("content")) return Content::classification;
  const auto found = file.string_attribute("content");
  std::string names;
  for (const auto& [name, content] : choices(Content{})) {
    if (name == found) return content;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw std::invalid_argument(fmt::format("{}: content is {}, expected one of {}", file.path().string(), found, names));
}

}  // namespace

StoredTexts::StoredTexts(const Hdf5File& file, const std::string& group, int64_t classes, int64_t max_length,
                         Content content)
    : ids_(file.list<int32_t>(group + "/ids")),
      group_(file.path().string() + ": " + group),
      sources_(file.list<int64_t>(group + "/sources")),
      classes_(classes) {
  offsets_ = file.list<int64_t>(group + "/offsets").read();
  second_ = file.list<int32_t>(group + "/second").read();
  check_lengths(max_length);
  if (classes > 0) read_labels(file, group);
  if (content != Content::classification) read_generator_rows(file, group, content);
}

void StoredTexts::check_lengths(int64_t max_length) {
  require(!offsets_.empty() && offsets_.front() == 0 && offsets_.back() == ids_.rows(),
          "{}/offsets: expected to start with 0 and end with the number of ids, {}", group_, ids_.rows());
  const auto rows = std::ssize(offsets_) - 1;
  require(std::ssize(second_) == rows && sources_.rows() == rows, "{}: offsets have {} rows, second {}, sources {}",
          group_, rows, second_.size(), sources_.rows());
  for (int64_t row = 0; row < rows; row++) {
    const int64_t length = offsets_[row + 1] - offsets_[row];
    require(1 <= length && length <= max_length, "{}/offsets: row {} has {} ids, expected 1 to {}", group_, row, length,
            max_length);
    require(0 <= second_[row] && second_[row] <= length, "{}/second: row {} has {}, expected 0 to {}", group_, row,
            second_[row], length);
    lengths_.push_back(static_cast<int32_t>(length));
  }
}

void StoredTexts::read_labels(const Hdf5File& file, const std::string& group) {
  const auto labels = file.matrix<float>(group + "/labels");
  require(labels.rows() == rows() && labels.columns() == classes_, "{}/labels is ({}, {}), expected ({}, {})", group_,
          labels.rows(), labels.columns(), rows(), classes_);
  labels_ = labels.read();
  require(std::ranges::all_of(labels_, [](float label) { return std::isfinite(label); }),
          "{}/labels has a value that is not finite", group_);
}

void StoredTexts::read_generator_rows(const Hdf5File& file, const std::string& group, Content content) {
  const auto list = [&]<class T>(const std::string& name, std::vector<T>& values) {
    const auto stored = file.list<T>(group + name);
    require(stored.rows() == rows(), "{}{} has {} rows, expected {}", group_, name, stored.rows(), rows());
    values = stored.read();
  };
  list("/bytes", bytes_);
  if (file.has(group + "/weights")) list("/weights", weights_);
  for (int64_t row = 0; row < rows(); row++) {
    require(bytes_[row] >= 0, "{}/bytes: row {} has {}, expected at least 0", group_, row, bytes_[row]);
    require(weights_.empty() || (std::isfinite(weights_[row]) && weights_[row] >= 0),
            "{}/weights: row {} has {}, expected a finite number of at least 0", group_, row,
            weights_.empty() ? 0 : weights_[row]);
  }
  check_prompts(content);
}

void StoredTexts::check_prompts(Content content) const {
  const bool prompts = content != Content::language_modeling;
  for (int64_t row = 0; row < rows(); row++) {
    const int32_t most = prompts ? lengths_[row] - 1 : 0;
    require(second_[row] <= most, "{}/second: row {} has {} prompt tokens, expected 0 to {}", group_, row, second_[row],
            most);
  }
  if (content != Content::preference) return;
  require(rows() % 2 == 0, "{} has {} rows, expected pairs of a chosen and a rejected text", group_, rows());
  for (int64_t row = 0; row < rows(); row += 2) {
    require(second_[row] == second_[row + 1], "{}/second: the texts of pair {} have prompts of {} and {} tokens",
            group_, row / 2, second_[row], second_[row + 1]);
  }
}

std::span<const float> StoredTexts::labels(int64_t row) const {
  return std::span(labels_).subspan(row * classes_, classes_);
}

std::vector<std::vector<int32_t>> StoredTexts::ids(std::span<const int64_t> rows) const {
  std::vector<int64_t> stored(rows.begin(), rows.end());  // sorted, without repeats
  std::ranges::sort(stored);
  stored.erase(std::unique(stored.begin(), stored.end()), stored.end());
  std::vector<RowRun> runs;
  std::vector<int64_t> begins;  // offset of each stored row in `read`
  int64_t size = 0;
  for (const auto row : stored) {
    const bool goes_on = !runs.empty() && runs.back().first + runs.back().count == offsets_[row];
    if (!goes_on) runs.push_back({offsets_[row], 0});
    runs.back().count += lengths_[row];
    begins.push_back(size);
    size += lengths_[row];
  }
  std::vector<int32_t> read(size);
  ids_.read(runs, read);

  std::vector<std::vector<int32_t>> found;
  for (const auto row : rows) {
    const auto place = std::ranges::lower_bound(stored, row) - stored.begin();
    const auto ids = std::span(read).subspan(begins[place], lengths_[row]);
    require(std::ranges::all_of(ids, [](int32_t id) { return id >= 0; }), "{}/ids: row {} has a negative id", group_,
            row);
    found.emplace_back(ids.begin(), ids.end());
  }
  return found;
}

std::vector<int32_t> StoredTexts::ids(int64_t row) const { return std::move(ids(std::span(&row, 1)).front()); }

std::vector<int64_t> StoredTexts::sources() const { return sources_.read(); }

TokenizedTexts open_texts(const std::filesystem::path& path) {
  auto file = Hdf5File::open(path);
  file.require_schema(texts_schema, texts_version, generator_texts_version);
  const auto kind = file.string_attribute("label_kind");
  std::vector<std::string> labels;
  if (kind != "none") {
    const auto stored = file.strings("/labels");
    labels = stored.read(0, stored.rows());
  }
  const auto max_length = file.int_attribute("max_length");
  const auto content = content_of(file);
  const auto part = [&](const char* group) {
    return StoredTexts(file, group, std::ssize(labels), max_length, content);
  };
  const auto text_of = [&](const char* name) {
    return file.has_attribute(name) ? std::optional(file.string_attribute(name)) : std::nullopt;
  };
  auto text = text_of("text"), pair = text_of("pair"), system = text_of("system"), rejected = text_of("rejected");
  auto chat = text_of("chat").value_or("none");
  const auto end = file.has_attribute("end") ? std::optional(file.int_attribute("end")) : std::nullopt;
  auto train = part("/train"), validation = part("/validation"), test = part("/test");
  auto provenance = file.string_attribute("provenance"), data_hash = file.string_attribute("data_hash"),
       tokenizer_hash = file.string_attribute("tokenizer_hash");
  return {.file = std::move(file),
          .label_kind = kind,
          .labels = std::move(labels),
          .max_length = max_length,
          .text = std::move(text),
          .pair = std::move(pair),
          .provenance = std::move(provenance),
          .data_hash = std::move(data_hash),
          .tokenizer_hash = std::move(tokenizer_hash),
          .content = content,
          .chat = std::move(chat),
          .system = std::move(system),
          .rejected = std::move(rejected),
          .end = end,
          .train = std::move(train),
          .validation = std::move(validation),
          .test = std::move(test)};
}

}  // namespace sartor::datasets

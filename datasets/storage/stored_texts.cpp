#include "storage/stored_texts.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"

namespace sartor::datasets {

StoredTexts::StoredTexts(const Hdf5File& file, const std::string& group, int64_t classes, int64_t max_length)
    : ids_(file.list<int32_t>(group + "/ids")),
      group_(file.path().string() + ": " + group),
      sources_(file.list<int64_t>(group + "/sources")),
      classes_(classes) {
  offsets_ = file.list<int64_t>(group + "/offsets").read();
  second_ = file.list<int32_t>(group + "/second").read();
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
  if (classes == 0) return;
  const auto labels = file.matrix<float>(group + "/labels");
  require(labels.rows() == rows && labels.columns() == classes, "{}/labels is ({}, {}), expected ({}, {})", group_,
          labels.rows(), labels.columns(), rows, classes);
  labels_ = labels.read();
  require(std::ranges::all_of(labels_, [](float label) { return std::isfinite(label); }),
          "{}/labels has a value that is not finite", group_);
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
  file.require_schema(texts_schema, texts_version);
  const auto kind = file.string_attribute("label_kind");
  std::vector<std::string> labels;
  if (kind != "none") {
    const auto stored = file.strings("/labels");
    labels = stored.read(0, stored.rows());
  }
  const auto max_length = file.int_attribute("max_length");
  const auto part = [&](const char* group) { return StoredTexts(file, group, std::ssize(labels), max_length); };
  const auto template_of = [&](const char* name) {
    return file.has_attribute(name) ? std::optional(file.string_attribute(name)) : std::nullopt;
  };
  auto text = template_of("text"), pair = template_of("pair");
  auto train = part("/train"), validation = part("/validation"), test = part("/test");
  auto provenance = file.string_attribute("provenance"), data_hash = file.string_attribute("data_hash"),
       tokenizer_hash = file.string_attribute("tokenizer_hash");
  return {std::move(file),           kind,
          std::move(labels),         max_length,
          std::move(text),           std::move(pair),
          std::move(provenance),     std::move(data_hash),
          std::move(tokenizer_hash), std::move(train),
          std::move(validation),     std::move(test)};
}

}  // namespace sartor::datasets

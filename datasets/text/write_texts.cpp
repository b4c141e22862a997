#include "text/write_texts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"
#include "storage/stored_texts.h"

namespace sartor::datasets {
namespace {

namespace fs = std::filesystem;

// Token ids that wait on disk until their part is known: a nameless file, gone with the process.
class IdSpill {
 public:
  explicit IdSpill(const fs::path& folder) : folder_(folder.empty() ? "." : folder), file_(nullptr, std::fclose) {
    std::string name = (folder_ / ".texts-XXXXXX").string();
    const int descriptor = mkstemp(name.data());
    check(descriptor >= 0, "make");
    unlink(name.c_str());
    file_.reset(fdopen(descriptor, "w+"));
    check(file_ != nullptr, "open");
  }

  int64_t append(std::span<const int32_t> ids) {
    check(fwrite(ids.data(), sizeof(int32_t), ids.size(), file_.get()) == ids.size(), "write");
    return std::exchange(size_, size_ + std::ssize(ids));
  }
  void read(int64_t at, std::span<int32_t> ids) {
    if (at != at_) check(fseeko(file_.get(), at * static_cast<int64_t>(sizeof(int32_t)), SEEK_SET) == 0, "read");
    check(fread(ids.data(), sizeof(int32_t), ids.size(), file_.get()) == ids.size(), "read");
    at_ = at + std::ssize(ids);
  }

 private:
  void check(bool done, const char* action) const {
    if (done) return;
    const std::error_code error(errno, std::generic_category());
    throw std::system_error(error, fmt::format("cannot {} a temporary file in {}", action, folder_.string()));
  }

  fs::path folder_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  int64_t size_ = 0, at_ = -1;
};

// The ids of a row that was read.
struct Tokens {
  int64_t place;    // the row's
  int64_t spilled;  // theirs
  int32_t length, second;
};

std::vector<Tokens> tokenize(TextSource& source, const text::Tokenizer& tokenizer, int64_t max_length,
                             const text::RunTasks& run, TextDivision& rows, IdSpill& spill, TextReport& report) {
  std::vector<Tokens> found;
  const auto unknown = tokenizer.id_of(tokenizer.spec().unk_token);
  const text::EncodeOptions options = {.truncation = text::Truncation{.max_length = max_length}};
  for (TextBatch batch; source.next(batch);) {
    rows.add(batch);
    const std::vector<std::string_view> texts(batch.texts.begin(), batch.texts.end()),
        pairs(batch.pairs.begin(), batch.pairs.end());
    const auto encoded = tokenizer.encode(texts, pairs, options, run);
    for (int64_t i = 0; i < batch.size(); i++) {
      const auto ids = encoded.row(i);
      const auto types = std::span(encoded.type_ids).subspan(encoded.rows[i], ids.size());
      found.push_back({.place = batch.places[i],
                       .spilled = spill.append(ids),
                       .length = static_cast<int32_t>(ids.size()),
                       .second = static_cast<int32_t>(std::ranges::find(types, 1) - types.begin())});
      report.tokens += std::ssize(ids);
      report.full += std::ssize(ids) == max_length;
      if (unknown) report.unknown += std::ranges::count(ids, *unknown);
    }
  }
  return found;
}

void write_part(Hdf5File& file, const std::string& group, const TextDivision& all, const std::vector<Tokens>& tokens,
                Part part, bool regression, IdSpill& spill) {
  std::vector<const TextDivision::Row*> mine;
  for (const auto& row : all.rows()) {
    if (row.part == part) mine.push_back(&row);
  }
  const auto rows = std::ssize(mine), classes = std::ssize(all.names());
  std::vector<int64_t> offsets = {0}, sources;
  std::vector<int32_t> second;
  std::vector<float> labels(rows * classes);
  for (int64_t i = 0; i < rows; i++) {
    const auto& row = *mine[i];
    const auto& [place, spilled, length, ids_before_pair] = tokens[row.source];
    offsets.push_back(offsets.back() + length);
    sources.push_back(place);
    second.push_back(ids_before_pair);
    if (regression) labels[i] = row.number;
    for (const auto number : all.classes(row)) labels[i * classes + number] = 1;
  }
  file.create_list<int64_t>(group + "/offsets", rows + 1).write(0, offsets);
  file.create_list<int64_t>(group + "/sources", rows).write(0, sources);
  file.create_list<int32_t>(group + "/second", rows).write(0, second);
  if (classes > 0) file.create_matrix<float>(group + "/labels", rows, classes).write(0, labels);

  auto stored = file.create_list<int32_t>(group + "/ids", offsets.back());
  constexpr int64_t slab = int64_t(1) << 18;
  std::vector<int32_t> ids;
  int64_t written = 0;
  for (int64_t i = 0; i < rows; i++) {
    const auto before = std::ssize(ids);
    const auto& row = tokens[mine[i]->source];
    ids.resize(before + row.length);
    spill.read(row.spilled, std::span(ids).subspan(before));
    if (std::ssize(ids) < slab && i + 1 < rows) continue;
    stored.write(written, ids);
    written += std::ssize(ids);
    ids.clear();
  }
}

}  // namespace

TextReport write_texts(const fs::path& path, TextSource& source, const TextConfig& config,
                       const text::Tokenizer& tokenizer, int64_t max_length, TextDuplicates duplicates,
                       const TextSplitConfig& split, const TextsProvenance& provenance, const text::RunTasks& run) {
  TextReport report;
  IdSpill spill(fs::absolute(path).parent_path());
  TextDivision rows(config, split);
  const auto tokens = tokenize(source, tokenizer, max_length, run, rows, spill, report);
  static_cast<RowCounts&>(report) = rows.divide(duplicates, source.rejects());

  AtomicFile atomic(path);
  auto file = Hdf5File::create(atomic.temporary());
  const auto [json, data_hash] = provenance.describe(report);
  const bool regression = config.label.kind == LabelKind::regression;
  file.set_schema(texts_schema, texts_version);
  file.set_attribute("provenance", json);
  file.set_attribute("data_hash", data_hash);
  file.set_attribute("tokenizer_hash", provenance.tokenizer_hash);
  file.set_attribute("label_kind", std::string(name_of(config.label.kind)));
  file.set_attribute("max_length", max_length);
  if (!rows.names().empty()) {
    const std::vector<std::string_view> names(rows.names().begin(), rows.names().end());
    file.create_strings("/labels", std::ssize(names)).write(0, names);
  }
  write_part(file, "/train", rows, tokens, Part::train, regression, spill);
  write_part(file, "/validation", rows, tokens, Part::validation, regression, spill);
  write_part(file, "/test", rows, tokens, Part::test, regression, spill);
  file.close();
  atomic.commit();
  return report;
}

}  // namespace sartor::datasets

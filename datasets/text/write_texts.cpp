#include "text/write_texts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <numeric>
#include <system_error>

#include "storage/atomic_file.h"
#include "storage/hdf5_file.h"
#include "storage/sha256.h"
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

struct Row {
  int64_t source;   // place among all that were read
  int64_t spilled;  // place of its ids
  int32_t length, second;
  int64_t labels_begin;  // in Collected::classes
  int32_t labels;        // how many
  float number;          // of regression
  std::array<char, 32> hash;
  std::optional<Part> part;  // that its table is for
};

struct Collected {
  std::vector<Row> rows;
  std::vector<int32_t> classes;    // of the rows, by number
  std::vector<std::string> names;  // of the classes, by number
};

std::string in_words(const std::map<std::string, int64_t, std::less<>>& counts) {
  std::string text;
  for (const auto& [reason, count] : counts) text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", reason, count);
  return text.empty() ? "the tables are empty" : text;
}

std::array<char, 32> hash_of(const std::string& seed, const std::string& text, const std::string& pair) {
  const auto digits = sha256(pair.empty() ? seed + text : seed + text + "\n" + pair);
  std::array<char, 32> hash;  // half of the digits tell any texts apart
  std::copy_n(digits.begin(), hash.size(), hash.begin());
  return hash;
}

// As numbers if all are, else as texts.
std::vector<std::string> sorted_names(std::vector<std::string> names) {
  const auto number = [](const std::string& name, int64_t& value) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    return error == std::errc() && end == name.data() + name.size();
  };
  int64_t value = 0;
  const bool numbers = std::ranges::all_of(names, [&](const auto& name) { return number(name, value); });
  std::ranges::sort(names, [&](const auto& a, const auto& b) {
    int64_t x = 0, y = 0;
    return numbers && number(a, x) && number(b, y) ? x < y : a < b;
  });
  return names;
}

Collected collect(TextSource& source, const TextConfig& config, const text::Tokenizer& tokenizer, int64_t max_length,
                  const std::string& seed, const text::RunTasks& run, IdSpill& spill, TextReport& report) {
  Collected found;
  std::map<std::string, int32_t> numbers;
  found.names = config.label.names;
  if (found.names.empty() && config.label.negative_below) found.names = {"negative", "positive"};
  for (const auto& name : found.names) numbers.emplace(name, std::ssize(numbers));
  const auto unknown = tokenizer.id_of(tokenizer.spec().unk_token);

  const text::EncodeOptions options = {.truncation = text::Truncation{.max_length = max_length}};
  for (TextBatch batch; source.next(batch);) {
    const std::vector<std::string_view> texts(batch.texts.begin(), batch.texts.end()),
        pairs(batch.pairs.begin(), batch.pairs.end());
    const auto encoded = tokenizer.encode(texts, pairs, options, run);
    for (int64_t i = 0; i < batch.size(); i++) {
      const auto ids = encoded.row(i);
      const auto types = std::span(encoded.type_ids).subspan(encoded.rows[i], ids.size());
      Row row = {.source = report.read++,
                 .spilled = spill.append(ids),
                 .length = static_cast<int32_t>(ids.size()),
                 .second = static_cast<int32_t>(std::ranges::find(types, 1) - types.begin()),
                 .labels_begin = std::ssize(found.classes),
                 .labels = 0,
                 .number = batch.numbers.empty() ? 0 : static_cast<float>(batch.numbers[i]),
                 .hash = hash_of(seed, batch.texts[i], batch.pairs.empty() ? "" : batch.pairs[i]),
                 .part = batch.part};
      if (!batch.classes.empty()) {
        for (const auto& name : batch.classes[i]) {
          const auto [known, added] = numbers.emplace(name, std::ssize(found.names));
          if (added) found.names.push_back(name);
          found.classes.push_back(known->second);
          row.labels++;
        }
      }
      report.tokens += row.length;
      report.full += row.length == max_length;
      if (unknown) report.unknown += std::ranges::count(ids, *unknown);
      found.rows.push_back(row);
    }
  }
  if (config.label.names.empty() && !config.label.negative_below) {
    const auto sorted = sorted_names(found.names);
    for (auto& number : found.classes) {
      number = static_cast<int32_t>(std::ranges::find(sorted, found.names[number]) - sorted.begin());
    }
    found.names = sorted;
  }
  return found;
}

// Leaves of equal texts the first; none where their labels differ.
void leave_out_repeated(Collected& data, TextReport& report) {
  std::vector<int64_t> order(data.rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](int64_t row) { return data.rows[row].hash; });
  const auto labels = [&](const Row& row) {
    std::vector<int32_t> mine(data.classes.begin() + row.labels_begin,
                              data.classes.begin() + row.labels_begin + row.labels);
    std::ranges::sort(mine);
    return std::pair(mine, row.number);
  };
  std::vector<bool> out(data.rows.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const auto& first = data.rows[order[begin]];
    bool differ = false;
    for (end = begin + 1; end < order.size() && data.rows[order[end]].hash == first.hash; end++) {
      differ = differ || labels(data.rows[order[end]]) != labels(first);
      out[order[end]] = true;
    }
    if (differ) out[order[begin]] = true;
    (differ ? report.contradicting : report.repeated) += static_cast<int64_t>(differ ? end - begin : end - begin - 1);
  }
  std::vector<Row> kept;
  for (size_t row = 0; row < out.size(); row++) {
    if (!out[row]) kept.push_back(data.rows[row]);
  }
  data.rows = std::move(kept);
}

std::vector<Part> divide(const Collected& data, const TextSplitConfig& split, bool stratify) {
  const auto rows = std::ssize(data.rows);
  std::vector<Part> parts(rows, Part::train);
  std::map<int32_t, std::vector<int64_t>> strata;
  double test = split.test, validation = split.validation;
  if (split.method == TextSplit::rows) {
    require(*split.first_test_row + *split.test_rows <= rows, "split: test rows {} to {}, but there are {} rows",
            *split.first_test_row, *split.first_test_row + *split.test_rows - 1, rows);
    test = 0;
  }
  for (int64_t row = 0; row < rows; row++) {
    const bool held_out = split.method == TextSplit::rows && row >= *split.first_test_row &&
                          row < *split.first_test_row + *split.test_rows;
    if (data.rows[row].part) {
      parts[row] = *data.rows[row].part;
    } else if (held_out) {
      parts[row] = Part::test;
    } else {
      strata[stratify ? data.classes[data.rows[row].labels_begin] : 0].push_back(row);
    }
  }
  for (auto& [name, members] : strata) {
    std::ranges::stable_sort(members, {}, [&](int64_t row) { return data.rows[row].hash; });
    const auto until = [&](double share) {
      return static_cast<int64_t>(static_cast<double>(members.size()) * share + 1e-9);
    };
    for (int64_t i = until(1 - test - validation); i < std::ssize(members); i++) {
      parts[members[i]] = i < until(1 - test) ? Part::validation : Part::test;
    }
  }
  return parts;
}

void write_part(Hdf5File& file, const std::string& group, const Collected& data, const std::vector<Part>& parts,
                Part part, bool regression, IdSpill& spill) {
  std::vector<const Row*> mine;
  for (size_t row = 0; row < parts.size(); row++) {
    if (parts[row] == part) mine.push_back(&data.rows[row]);
  }
  const auto rows = std::ssize(mine), classes = std::ssize(data.names);
  std::vector<int64_t> offsets = {0}, sources;
  std::vector<int32_t> second;
  std::vector<float> labels(rows * classes);
  for (int64_t i = 0; i < rows; i++) {
    offsets.push_back(offsets.back() + mine[i]->length);
    sources.push_back(mine[i]->source);
    second.push_back(mine[i]->second);
    if (regression) labels[i] = mine[i]->number;
    for (int32_t k = 0; k < mine[i]->labels; k++) {
      labels[i * classes + data.classes[mine[i]->labels_begin + k]] = 1;
    }
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
    ids.resize(before + mine[i]->length);
    spill.read(mine[i]->spilled, std::span(ids).subspan(before));
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
  auto data = collect(source, config, tokenizer, max_length, split.seed, run, spill, report);
  require(report.read > 0, "no row could be used, {} were rejected: {}", source.rejects().total(),
          in_words(source.rejects().counts()));
  const bool regression = config.label.kind == LabelKind::regression;
  if (regression) data.names = {"value"};
  if (duplicates == TextDuplicates::once) leave_out_repeated(data, report);
  const bool single = config.label.kind == LabelKind::single_label;
  if (single) {
    require(data.names.size() > 1, "found {} classes, expected at least 2", data.names.size());
    for (int32_t number = 0; number < std::ssize(data.names); number++) {
      const auto has = [&](const Row& row) { return data.classes[row.labels_begin] == number; };
      require(std::ranges::any_of(data.rows, has), "no row is of the class {}", data.names[number]);
    }
  }
  const auto parts = divide(data, split, single && split.method == TextSplit::stratified);
  report.train = std::ranges::count(parts, Part::train);
  report.validation = std::ranges::count(parts, Part::validation);
  report.test = std::ranges::count(parts, Part::test);
  require(report.train > 0, "nothing is left for training: {} rows were kept", parts.size());

  AtomicFile atomic(path);
  auto file = Hdf5File::create(atomic.temporary());
  const auto [json, data_hash] = provenance.describe(report);
  file.set_schema(texts_schema, texts_version);
  file.set_attribute("provenance", json);
  file.set_attribute("data_hash", data_hash);
  file.set_attribute("tokenizer_hash", provenance.tokenizer_hash);
  file.set_attribute("label_kind", std::string(name_of(config.label.kind)));
  file.set_attribute("max_length", max_length);
  if (!data.names.empty()) {
    const std::vector<std::string_view> names(data.names.begin(), data.names.end());
    file.create_strings("/labels", std::ssize(names)).write(0, names);
  }
  write_part(file, "/train", data, parts, Part::train, regression, spill);
  write_part(file, "/validation", data, parts, Part::validation, regression, spill);
  write_part(file, "/test", data, parts, Part::test, regression, spill);
  file.close();
  atomic.commit();
  return report;
}

}  // namespace sartor::datasets

#include "tables/rejects.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "encodings/printable.h"

namespace sartor::datasets {
namespace {

constexpr size_t kept_bytes = 1000, shown_bytes = 80;

std::string described(std::string_view file, int64_t row, std::string_view reason, std::string_view text) {
  return fmt::format("{}: row {}: {}{}", printable(file, kept_bytes), row, reason,
                     text.empty() ? "" : ", found " + printable(text, shown_bytes));
}

}  // namespace

Rejects::Rejects(const std::filesystem::path& path, Unfit unfit)
    : unfit_(unfit), file_(std::make_unique<AtomicFile>(path)) {
  errno = 0;
  out_.open(file_->temporary(), std::ios::binary);
  out_ << "file\trow\treason\ttext\n";
  check_written();
}

void Rejects::add(std::string_view file, int64_t row, std::string_view reason, std::string_view text) {
  require(unfit_ == Unfit::reject || reason == empty_line, "{}", described(file, row, reason, text));
  total_++;
  const auto known = counts_.find(reason);
  if (known != counts_.end()) {
    ++known->second;
  } else {
    counts_.emplace(reason, 1);
    examples_.push_back({std::string(reason), described(file, row, reason, text)});
  }
  if (!file_) return;
  errno = 0;
  out_ << fmt::format("{}\t{}\t{}\t{}\n", printable(file, kept_bytes), row, reason, printable(text, kept_bytes));
  check_written();
}

std::string Rejects::examples() const {
  std::string text;
  for (const auto& [reason, example] : examples_) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : "; ", example, counts_.find(reason)->second);
  }
  return text;
}

void Rejects::refuse_all() {
  if (total_ == 0) throw std::invalid_argument("no row could be used: the tables are empty");
  const std::string where = file_ ? fmt::format("; see {}", file_->target().string()) : "";
  finish();
  throw std::invalid_argument(fmt::format("no row could be used, {} were rejected: {}{}", total_, examples(), where));
}

void Rejects::finish() {
  if (!file_) return;
  errno = 0;
  out_.close();
  check_written();
  if (total_ > 0) {
    file_->commit();
  } else {
    std::filesystem::remove(file_->target());
  }
  file_.reset();
}

void Rejects::check_written() const {
  if (out_) return;
  const std::error_code error(errno ? errno : EIO, std::generic_category());
  throw std::system_error(error, fmt::format("cannot write {}", file_->target().string()));
}

}  // namespace sartor::datasets

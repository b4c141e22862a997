#include "tables/rejects.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "schema/utf8.h"

namespace sartor::datasets {
namespace {

constexpr size_t kept_bytes = 1000;

std::string escaped(std::string_view text) {
  static constexpr std::string_view special = "\t\n\r\\", letters = "tnr\\";
  const std::string_view kept = text.substr(0, kept_bytes);
  std::string out;
  size_t valid = valid_utf8(kept);  // bytes of it from the start
  for (size_t i = 0; i < kept.size(); i++) {
    const auto byte = static_cast<unsigned char>(kept[i]);
    const bool broken = i == valid;
    if (const size_t known = special.find(kept[i]); known != special.npos) {
      out += {'\\', letters[known]};
    } else if (broken || byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += kept[i];
    }
    if (broken) valid = i + 1 + valid_utf8(kept.substr(i + 1));
  }
  return text.size() > kept_bytes ? out + "..." : out;
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
  require(unfit_ == Unfit::reject, "{}: record {}: {}{}", file, row, reason,
          text.empty() ? "" : ", found " + escaped(text));
  total_++;
  const auto count = counts_.find(reason);
  count == counts_.end() ? counts_.emplace(reason, 1).first->second : ++count->second;
  if (!file_) return;
  errno = 0;
  out_ << fmt::format("{}\t{}\t{}\t{}\n", escaped(file), row, reason, escaped(text));
  check_written();
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

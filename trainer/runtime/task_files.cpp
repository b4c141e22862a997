#include "runtime/task_files.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "base/require.h"

namespace sartor {
namespace {

namespace fs = std::filesystem;

// Absolute path with existing symbolic links resolved, without a trailing slash.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  const auto absolute = fs::absolute(path);
  auto found = fs::weakly_canonical(absolute, error);
  if (error) found = absolute.lexically_normal();
  return found.has_filename() ? found : found.parent_path();
}

bool is_root(const fs::path& path) { return path == path.parent_path(); }

// Whether `name` is the temporary name of an atomically written file or folder `target`.
bool is_temporary_of(std::string_view name, std::string_view target) {
  if (name.starts_with('.')) name.remove_prefix(1);
  if (!name.starts_with(target)) return false;
  name.remove_prefix(target.size());
  return name == ".partial" || name.starts_with(".partial-") || name == ".parts.partial";
}

// Compares resolved paths. Calls stat() once per path.
class Places {
 public:
  bool same(const fs::path& a, const fs::path& b) { return a == b || identity(a) == identity(b); }

  bool within(const fs::path& folder, const fs::path& path) {
    return same(folder, path) || (!is_root(path) && within(folder, path.parent_path()));
  }

  // Whether writing `output` or its temporary files could overwrite `path`.
  bool takes(const fs::path& output, const fs::path& path) {
    if (same(output, path)) return true;
    const bool temporary = is_temporary_of(path.filename().string(), output.filename().string()) &&
                           same(output.parent_path(), path.parent_path());
    return temporary || (!is_root(path) && takes(output, path.parent_path()));
  }

 private:
  const std::string& identity(const fs::path& path) {
    auto& known = known_[path.string()];
    struct stat found {};
    if (known.empty()) {
      const bool exists = stat(path.c_str(), &found) == 0;
      known = exists ? fmt::format("{}:{}", found.st_dev, found.st_ino) : path.string();
    }
    return known;
  }

  std::unordered_map<std::string, std::string> known_;
};

std::string kind_of(fs::file_type type) {
  switch (type) {
    case fs::file_type::regular:
      return "a file";
    case fs::file_type::directory:
      return "a folder";
    case fs::file_type::symlink:
      return "a link to nothing";
    case fs::file_type::fifo:
      return "a pipe";
    case fs::file_type::socket:
      return "a socket";
    default:
      return "a device";
  }
}

}  // namespace

void refuse_overlap(const fs::path& config_file, const std::vector<fs::path>& reads,
                    const std::vector<Output>& writes) {
  Places places;
  std::vector<fs::path> outputs;
  for (const auto& output : writes) outputs.push_back(resolved(output.path));
  for (size_t i = 0; i < outputs.size(); i++) {
    const auto& output = outputs[i];
    const auto shown = writes[i].path.string();
    require(config_file.empty() || !places.same(output, resolved(config_file)), "{} is both the config and written",
            shown);
    for (size_t j = 0; j < i; j++) {
      const auto other = writes[j].path.string();
      require(!places.same(output, outputs[j]), "{} would be written twice{}", shown,
              other == shown ? "" : fmt::format(", as {} too", other));
      require(!places.takes(output, outputs[j]), "{} would be written into {}, which is written too", other, shown);
      require(!places.takes(outputs[j], output), "{} would be written into {}, which is written too", shown, other);
    }
    for (const auto& path : reads) {
      const auto read = resolved(path);
      require(!places.same(output, read), "{} is both read and written{}", path.string(),
              path == writes[i].path ? "" : fmt::format(", as {}", shown));
      require(!places.takes(output, read), "{} is read, but {}, which would be written, takes its place", path.string(),
              shown);
      require(!places.within(read, output), "{} would be written into {}, which is read", shown, path.string());
    }
  }
}

void refuse_other_kinds(const std::vector<Output>& writes) {
  for (const auto& [path, folder] : writes) {
    std::error_code error;
    auto type = fs::status(path, error).type();
    if (type == fs::file_type::not_found) type = fs::symlink_status(path, error).type();
    if (type == fs::file_type::not_found || type == fs::file_type::none) continue;  // none: writing will fail
    require(type == (folder ? fs::file_type::directory : fs::file_type::regular), "{} is {}, expected a {} to write",
            path.string(), kind_of(type), folder ? "folder" : "file");
  }
}

}  // namespace sartor

#include "support/faults/faults.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <stdexcept>

namespace sartor {
namespace {

std::string contents(int file) {
  std::string text(lseek(file, 0, SEEK_END), '\0');
  if (pread(file, text.data(), text.size(), 0) != std::ssize(text))
    throw std::runtime_error("output cannot be read back");
  close(file);
  return text;
}

std::vector<std::string> preloaded(const std::string& library, const std::vector<std::string>& more) {
  const char* asan = std::getenv("ASAN_OPTIONS");
  std::vector<std::string> environment = {"LD_PRELOAD=" + library,
                                          fmt::format("ASAN_OPTIONS={}:verify_asan_link_order=0", asan ? asan : "")};
  environment.insert(environment.end(), more.begin(), more.end());
  return environment;
}

std::vector<std::string> faulty(const std::filesystem::path& folder, std::vector<std::string> more) {
  more.push_back("SARTOR_FAULT_FOLDER=" + std::filesystem::absolute(folder).string());
  return preloaded(SARTOR_FAULTS_LIBRARY, more);
}

}  // namespace

Outcome run_command(const std::vector<std::string>& command, const std::vector<std::string>& environment) {
  std::vector<char*> arguments, variables;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const auto& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
  for (char** word = environ; *word; word++) variables.push_back(*word);  // the first entry of a name counts
  arguments.push_back(nullptr);
  variables.push_back(nullptr);

  const int out = memfd_create("stdout", MFD_CLOEXEC), err = memfd_create("stderr", MFD_CLOEXEC);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
  pid_t child = 0;
  const int fault = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (fault != 0) throw std::runtime_error(fmt::format("{}: {}", command[0], strerror(fault)));

  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), contents(out), contents(err)};
}

Outcome run_with_fault(const std::vector<std::string>& command, const std::filesystem::path& folder, int64_t at,
                       Fault fault, const std::vector<std::string>& environment) {
  auto more = environment;
  more.push_back(fmt::format("SARTOR_FAULT_AT={}", at));
  static constexpr const char* kinds[] = {"kill", "kill", "full", "terminate", "interrupt", "grow"};
  more.push_back(fmt::format("SARTOR_FAULT_KIND={}", kinds[static_cast<int>(fault)]));
  more.push_back(fmt::format("SARTOR_FAULT_WHEN={}", fault == Fault::kill_after ? "after" : "before"));
  return run_command(command, faulty(folder, more));
}

int64_t count_calls(const std::vector<std::string>& command, const std::filesystem::path& folder) {
  const auto counted = std::filesystem::temp_directory_path() / fmt::format("sartor-calls-{}", getpid());
  const auto outcome = run_command(command, faulty(folder, {"SARTOR_FAULT_COUNT=" + counted.string()}));
  if (outcome.status != 0) throw std::runtime_error(fmt::format("status {}: {}", outcome.status, outcome.err));
  int64_t calls = -1;
  std::ifstream(counted) >> calls;
  std::filesystem::remove(counted);
  return calls;
}

std::vector<std::string> delayed_ranks(const std::vector<int>& milliseconds, const std::filesystem::path& log) {
  return preloaded(SARTOR_DELAYS_LIBRARY,
                   {fmt::format("SARTOR_DELAYS={}", fmt::join(milliseconds, ",")), "SARTOR_DELAY_LOG=" + log.string()});
}

}  // namespace sartor

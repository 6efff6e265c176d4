#!/usr/bin/env bash
# A real .NET 8 and its C# 12 compiler, out of two npm packages of fixed content, into DIR: for the tests only, where no
# .NET SDK is to be had. Needs npm, python3, mcs.
#   setup.sh DIR; then DIR/csc ARGS... compiles, DIR/run APP.dll ARGS... runs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mkdir -p "$1" && cd "$1" && pwd)
key=$(cat "$here"/* | sha256sum)
[ "$(cat "$dir/ready" 2>/dev/null)" = "$key" ] && exit 0
rm -rf "$dir" && mkdir -p "$dir"
cd "$dir"

# fetch PACKAGE@VERSION SHA512 FOLDER
fetch() {
    local file
    file=$(npm pack --loglevel=error "$1" | tail -1)
    echo "$2  $file" | sha512sum --check --quiet
    mkdir "$3"
    tar xzf "$file" -C "$3" --strip-components=1
    rm "$file"
}
# A single-file program with .NET 8.0 inside.
fetch @microsoft/sarif-multitool-linux@5.7.0 \
    37151ba6ae884825a84d0fcd7ce604c040caab51de91afeb3282794792ccc9d7006505ff5fb8399961dc8310ee6fed0cd3b2c2f7ab59e4b647bc5d50cb78234c host
# Brings Roslyn 4.8.
fetch @typespec/http-client-csharp@1.0.0-alpha.20260929.2 \
    bfebf941f9f0befb388e887b948826eebe99d436380c751bdfc1a1f4d0b5253a54b05c7714699ecfdb42d359b8ef98f671c0bf48f22fdf8873514afe1ba6824b roslyn

host=$(find "$dir/host" -name Sarif.Multitool -type f | head -1)
chmod +x "$host"
# The one that is no translation (folders "de", "zh-Hans", ...).
roslyn=$(find "$dir/roslyn" -name Microsoft.CodeAnalysis.CSharp.dll | grep -v '/[a-z][a-z]\(-[A-Z][A-Za-z]*\)\?/Microsoft' | head -1)
roslyn=$(dirname "$roslyn")
python3 "$here/unbundle.py" "$host" net8
mcs -nologo -target:library -out:hook.dll "$here/hook.cs"

# Start PATH: runs the host with our start-up hook instead of its own program; arguments go by a file.
start() {
    cat <<S
arguments=\$(mktemp)
trap 'rm -f "\$arguments"' EXIT
printf '%s\n' $1 >"\$arguments"
HOOK_MODE=$2 HOOK_ARGS=\$arguments ROSLYN_DIR='$roslyn' DOTNET_STARTUP_HOOKS='$dir/hook.dll' \\
    DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 '$host'
S
}
{
    echo '#!/usr/bin/env bash'
    echo "# The C# compiler: arguments as csc takes them; the framework's assemblies are referred to."
    echo "references=\$(ls '$dir'/net8/{System*,mscorlib,netstandard,Microsoft.CSharp,Microsoft.Win32*}.dll 2>/dev/null | sed 's/^/-r:/')"
    start '-nologo -nostdlib+ $references "$@"' csc
} >csc
{
    echo '#!/usr/bin/env bash'
    echo '# Runs an assembly on .NET 8: run APP.dll ARGS...'
    start '"$(realpath "$1")" "${@:2}"' run
} >run
chmod +x csc run
echo "$key" >ready

# SPDX-License-Identifier: GPL-2.0-only
#
# Prints what zsh offers for each of some lines: zsh_completion.zsh SCRIPT LINE...; a line "= LINE" stands above each answer. It
# completes in an interactive zsh at a terminal of its own, where compadd, which is handed the matches, prints them.
zmodload zsh/zpty || exit 1
zpty completing zsh -f -i
ask() {
    zpty -w completing "$1"
}
# What it is asked is echoed: the words that are waited for do not stand there as they are.
answer() {
    local line
    while zpty -r completing line; do
        line=${${line//$'\r'/}%$'\n'}
        [[ $line == *"all told"* ]] && return
        [[ $line == *"offered:"* ]] && print -r -- "${line##*offered:}"
    done
    exit 1
}
ask "PROMPT= PROMPT2= RPROMPT= LISTMAX=100000; autoload -Uz compinit; compinit -D -u; source ${(q)1}; shift"
ask 'compadd() {
    local -a found
    builtin compadd -A found "$@"
    local match
    for match in $found; do print -r -- "offe""red:$match"; done
    builtin compadd "$@"
}'
ask 'list-now() { _main_complete; print; print "all"" told" }; zle -C list-now list-choices list-now'
ask "bindkey '^I' list-now; print 'all'' told'"
answer
for line in "${@[2,-1]}"; do
    print -r -- "= $line"
    zpty -w -n completing $'\x15'"$line"$'\t'
    answer
done
zpty -d completing

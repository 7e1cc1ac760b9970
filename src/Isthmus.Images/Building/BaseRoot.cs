using Isthmus.Core.Names;
using Isthmus.Images.Oci;

namespace Isthmus.Images.Building;

/// <summary>What the root of the image has besides the files of packages.</summary>
internal static class BaseRoot
{
    /// <summary>
    /// The libraries of the .NET runtime, certificate authorities, nft with its libraries, and a shell. The list is complete: dependencies are not
    /// followed, because packages also depend on those that only their installation needs.
    /// </summary>
    internal static readonly string[] Packages =
    [
        "base-files", "netbase", "libc6", "libgcc-s1", "libstdc++6", "libssl3t64", "libzstd1", "zlib1g", "ca-certificates",
        "nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libgmp10", "libxtables12", "libedit2", "libbsd0", "libmd0", "libtinfo6",
        "busybox",
    ];

    /// <summary>curl and its libraries, which only images of samples have.</summary>
    internal static readonly string[] CurlPackages =
    [
        "curl", "libcurl4t64", "libbrotli1", "libnghttp2-14", "libnghttp3-9", "libidn2-0", "libunistring5", "librtmp1", "libssh2-1t64", "libpsl5t64",
        "libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0", "libcom-err2", "libkeyutils1", "libldap2", "libsasl2-2", "libgnutls30t64",
        "libhogweed6t64",
        "libnettle8t64", "libp11-kit0", "libtasn1-6", "libffi8",
    ];

    private static readonly string[] Applets =
    [
        "awk", "base64", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dirname", "du", "echo", "env", "expr", "false", "find", "free", "grep",
        "head",
        "hostname", "id", "ip", "kill", "ln", "ls", "mkdir", "mktemp", "mv", "nc", "netstat", "od", "ping", "printf", "ps", "pwd", "readlink", "rm", "sed",
        "seq",
        "sh", "sleep", "sort", "stat", "stty", "sync", "tail", "tar", "tee", "test", "time", "timeout", "top", "touch", "tr", "true", "uname", "uniq", "vi",
        "wc",
        "wget", "which", "xargs", "yes",
    ];

    internal static void AddTo(LayerTree tree)
    {
        tree.AddText("etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
                + $"istio-proxy:x:{ProxyUser.Id}:{ProxyUser.Id}:istio-proxy:/:/bin/false\n");
        tree.AddText("etc/group", $"root:x:0:\ntty:x:5:\nnogroup:x:65534:\nistio-proxy:x:{ProxyUser.Id}:\n");
        tree.AddText("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n");
        foreach (var applet in Applets) tree.AddLink($"usr/bin/{applet}", "busybox");
        foreach (var directory in new[] { "dev", "home", "proc", "run", "sys", "var/log", "var/lib/istio", "etc/istio" }) tree.AddDirectory(directory);
        tree.AddDirectory("root", (UnixFileMode)0b111_000_000);
        tree.AddDirectory("tmp", (UnixFileMode)0b1_111_111_111);
        tree.AddDirectory("var/tmp", (UnixFileMode)0b1_111_111_111);
        tree.AddLink("var/run", "/run");
    }
}

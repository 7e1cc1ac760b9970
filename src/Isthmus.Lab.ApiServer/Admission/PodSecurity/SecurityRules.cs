using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.PodSecurity;

/// <summary>The rules of both levels of the Pod Security Standards, each list in the order of API servers.</summary>
internal static class SecurityRules
{
    private static readonly string[] Capabilities =
    [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    ];

    private static readonly string[] Volumes =
        ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];

    private static readonly string[] Types = ["", "container_t", "container_init_t", "container_kvm_t"];

    /// <summary>With the minor version that has permitted them first.</summary>
    private static readonly Dictionary<string, int> Sysctls = new(StringComparer.Ordinal)
    {
        ["kernel.shm_rmid_forced"] = 0, ["net.ipv4.ip_local_port_range"] = 0, ["net.ipv4.tcp_syncookies"] = 0, ["net.ipv4.ping_group_range"] = 0,
        ["net.ipv4.ip_unprivileged_port_start"] = 0, ["net.ipv4.ip_local_reserved_ports"] = 27, ["net.ipv4.tcp_keepalive_time"] = 29,
        ["net.ipv4.tcp_fin_timeout"] = 29, ["net.ipv4.tcp_keepalive_intvl"] = 29, ["net.ipv4.tcp_keepalive_probes"] = 29,
        ["net.ipv4.tcp_rmem"] = 32, ["net.ipv4.tcp_wmem"] = 32,
    };

    /// <summary>How the annotations begin that set the AppArmor profiles of containers.</summary>
    public const string AppArmorAnnotation = "container.apparmor.security.beta.kubernetes.io/";

    /// <summary>The minor version of this server.</summary>
    public static readonly int Latest = int.Parse(KubernetesVersion.Text.Split('.')[1], CultureInfo.InvariantCulture);

    public static readonly SecurityRule[] Baseline =
    [
        new("appArmorProfile", 0, static (pod, _) => AppArmor(pod)),
        new("capabilities_baseline", 0, static (pod, _) => AddedCapabilities(pod)),
        new("hostNamespaces", 0, static (pod, _) => HostNamespaces(pod)),
        new("hostPathVolumes", 0, static (pod, _) => Found("hostPath volumes", "volume", NamesOf(pod.Volumes.Where(volume => volume["hostPath"] is not null)))),
        new("hostPorts", 0, static (pod, _) => HostPorts(pod)),
        new("privileged", 0, static (pod, _) => Found("privileged", "container", pod.Named(one => Json.Truth(one.At("securityContext", "privileged")) == true),
            " must not set securityContext.privileged=true")),
        new("procMount", 0, static (pod, _) => ProcMount(pod)),
        new("seLinuxOptions", 0, SeLinux),
        new("seccompProfile_baseline", 19, static (pod, _) => BadSeccomp(pod)),
        new("sysctls", 0, static (pod, minor) => NotEmpty("forbidden sysctls", string.Join(", ", Json.Objects(pod.Security.At("sysctls"))
            .Select(sysctl => Json.Text(sysctl["name"])).Where(name => !(Sysctls.TryGetValue(name, out var since) && since <= minor))))),
        new("windowsHostProcess", 0, static (pod, _) => Setters(pod, settings => Json.Truth(settings.At("windowsOptions", "hostProcess")) == true) is var who
            && who.Length > 0 ? new("hostProcess", $"{who} must not set securityContext.windowsOptions.hostProcess=true") : null),
    ];

    public static readonly SecurityRule[] Restricted =
    [
        new("allowPrivilegeEscalation", 8, static (pod, minor) => IsExempt(pod, minor) ? null : Found("allowPrivilegeEscalation != false", "container",
            pod.Named(one => Json.Truth(one.At("securityContext", "allowPrivilegeEscalation")) != false),
            " must set securityContext.allowPrivilegeEscalation=false")),
        new("capabilities_restricted", 22, static (pod, minor) => IsExempt(pod, minor) ? null : KeptCapabilities(pod)) { Replaces = "capabilities_baseline" },
        new("restrictedVolumes", 0, static (pod, _) => RestrictedVolumes(pod)) { Replaces = "hostPathVolumes" },
        new("runAsNonRoot", 0, static (pod, _) => NonRoot(pod)),
        new("runAsUser", 23, static (pod, _) => Setters(pod, settings => Json.Whole(settings.At("runAsUser")) == 0) is var who && who.Length > 0
            ? new("runAsUser=0", $"{who} must not set runAsUser=0") : null),
        new("seccompProfile_restricted", 19, static (pod, minor) => IsExempt(pod, minor) ? null : BadSeccomp(pod) ?? NoSeccomp(pod))
        {
            Replaces = "seccompProfile_baseline",
        },
    ];

    /// <summary>These settings cannot be made for Windows.</summary>
    private static bool IsExempt(CheckedPod pod, int minor) => minor >= 25 && pod.IsOfWindows;

    private static SecurityViolation? AppArmor(CheckedPod pod)
    {
        var values = new SortedSet<string>(StringComparer.Ordinal);
        var who = Setters(pod, settings => IsBad(settings.At("appArmorProfile")));
        var annotations = pod.Annotations.Where(item => item.Key.StartsWith(AppArmorAnnotation, StringComparison.Ordinal)
            && item.Value.Length > 0 && item.Value != "runtime/default" && !item.Value.StartsWith("localhost/", StringComparison.Ordinal))
            .Select(item => $"{item.Key}=\"{item.Value}\"").Order(StringComparer.Ordinal).ToList();
        if (annotations.Count > 0) who = $"{(who.Length > 0 ? $"{who} and " : "")}{Plural("annotation", annotations.Count)}";
        List<string> all = [.. values, .. annotations];
        return who.Length == 0 ? null
            : new($"forbidden AppArmor {Plural("profile", all.Count)}", $"{who} must not set AppArmor profile type to {Quoted(all)}");

        bool IsBad(JsonNode? profile)
        {
            if (profile is null || profile.TextAt("type") is "RuntimeDefault" or "Localhost") return false;
            values.Add(profile.TextAt("type"));
            return true;
        }
    }

    private static SecurityViolation? AddedCapabilities(CheckedPod pod)
    {
        var bad = pod.Named(one => Added(one).Any(name => !Capabilities.Contains(name)));
        return bad.Count == 0 ? null : new("non-default capabilities", $"{Plural("container", bad.Count)} {Quoted(bad)} must not include "
            + $"{Quoted(Distinct(pod.Containers.SelectMany(Added).Except(Capabilities)))} in securityContext.capabilities.add");
    }

    private static SecurityViolation? KeptCapabilities(CheckedPod pod)
    {
        const string Bind = "NET_BIND_SERVICE";
        var kept = pod.Named(one => !Json.Texts(one.At("securityContext", "capabilities", "drop")).Contains("ALL"));
        var adding = pod.Named(one => Added(one).Any(name => name != Bind));
        string[] details =
        [
            kept.Count == 0 ? "" : $"{Plural("container", kept.Count)} {Quoted(kept)} must set securityContext.capabilities.drop=[\"ALL\"]",
            adding.Count == 0 ? "" : $"{Plural("container", adding.Count)} {Quoted(adding)} must not include "
                + $"{Quoted(Distinct(pod.Containers.SelectMany(Added).Where(name => name != Bind)))} in securityContext.capabilities.add",
        ];
        return NotEmpty("unrestricted capabilities", string.Join("; ", details.Where(detail => detail.Length > 0)));
    }

    private static SecurityViolation? HostNamespaces(CheckedPod pod) => NotEmpty("host namespaces",
        string.Join(", ", ((string[])["hostNetwork", "hostPID", "hostIPC"]).Where(field => Json.Truth(pod.Spec.At(field)) == true)
            .Select(field => $"{field}=true")));

    private static SecurityViolation? HostPorts(CheckedPod pod)
    {
        var bad = pod.Named(one => Ports(one).Any());
        var ports = Distinct(pod.Containers.SelectMany(Ports)).ToList();
        return bad.Count == 0 ? null : new("hostPort",
            $"{Plural("container", bad.Count)} {Quoted(bad)} {Verb(bad.Count)} {Plural("hostPort", ports.Count)} {string.Join(", ", ports)}");

        static IEnumerable<string> Ports(JsonObject container) => Json.Objects(container["ports"]).Select(port => Json.Whole(port["hostPort"]) ?? 0)
            .Where(port => port != 0).Select(port => port.ToString(CultureInfo.InvariantCulture));
    }

    private static SecurityViolation? ProcMount(CheckedPod pod)
    {
        var bad = pod.Named(one => Mount(one) is not ("" or "Default"));
        return bad.Count == 0 ? null : new("procMount", $"{Plural("container", bad.Count)} {Quoted(bad)} must not set securityContext.procMount to "
            + Quoted(Distinct(pod.Containers.Select(Mount).Where(mount => mount is not ("" or "Default")))));

        static string Mount(JsonObject container) => container.TextAt("securityContext", "procMount");
    }

    private static SecurityViolation? SeLinux(CheckedPod pod, int minor)
    {
        var (types, setsUser, setsRole) = (new SortedSet<string>(StringComparer.Ordinal), false, false);
        var who = Setters(pod, settings => IsBad(settings.At("seLinuxOptions")));
        var what = new List<string>();
        if (types.Count > 0) what.Add($"{Plural("type", types.Count)} {Quoted(types)}");
        if (setsUser) what.Add("user may not be set");
        if (setsRole) what.Add("role may not be set");
        return who.Length == 0 ? null : new("seLinuxOptions", $"{who} set forbidden securityContext.seLinuxOptions: {string.Join("; ", what)}");

        bool IsBad(JsonNode? options)
        {
            var (type, user, role) = (options.TextAt("type"), options.TextAt("user").Length > 0, options.TextAt("role").Length > 0);
            var isBadType = !Types.Contains(type) && !(minor >= 31 && type == "container_engine_t");
            if (isBadType) types.Add(type);
            setsUser |= user;
            setsRole |= role;
            return isBadType || user || role;
        }
    }

    private static SecurityViolation? RestrictedVolumes(CheckedPod pod)
    {
        var bad = pod.Volumes.Where(volume => !Volumes.Any(volume.ContainsKey)).ToList();
        var types = Distinct(bad.Select(volume => volume.Select(field => field.Key).FirstOrDefault(field => field != "name") ?? "unknown")).ToList();
        return bad.Count == 0 ? null : new("restricted volume types", $"{Plural("volume", bad.Count)} {Quoted(NamesOf(bad))} {Verb(bad.Count)} "
            + $"restricted volume {Plural("type", types.Count)} {Quoted(types)}");
    }

    private static SecurityViolation? NonRoot(CheckedPod pod)
    {
        const string Reason = "runAsNonRoot != true";
        if (Setters(pod, settings => Json.Truth(settings.At("runAsNonRoot")) == false) is { Length: > 0 } who)
            return new(Reason, $"{who} must not set securityContext.runAsNonRoot=false");
        var silent = Json.Truth(pod.Security.At("runAsNonRoot")) == true ? [] : pod.Named(one => one.At("securityContext", "runAsNonRoot") is null);
        return silent.Count == 0 ? null
            : new(Reason, $"pod or {Plural("container", silent.Count)} {Quoted(silent)} must set securityContext.runAsNonRoot=true");
    }

    private static SecurityViolation? BadSeccomp(CheckedPod pod)
    {
        var values = new SortedSet<string>(StringComparer.Ordinal);
        var who = Setters(pod, settings =>
        {
            if (settings.At("seccompProfile") is not { } profile || IsProfile(profile)) return false;
            values.Add(profile.TextAt("type"));
            return true;
        });
        return who.Length == 0 ? null : new("seccompProfile", $"{who} must not set securityContext.seccompProfile.type to {Quoted(values)}");
    }

    private static SecurityViolation? NoSeccomp(CheckedPod pod)
    {
        if (IsProfile(pod.Security.At("seccompProfile"))) return null;
        var silent = pod.Named(one => one.At("securityContext", "seccompProfile") is null);
        return silent.Count == 0 ? null : new("seccompProfile", $"pod or {Plural("container", silent.Count)} {Quoted(silent)} must set "
            + "securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"");
    }

    private static bool IsProfile(JsonNode? profile) => profile.TextAt("type") is "RuntimeDefault" or "Localhost";

    private static IEnumerable<string> Added(JsonObject container) => Json.Texts(container.At("securityContext", "capabilities", "add"));

    /// <summary>Where the wrong setting is: <c>pod and containers "a", "b"</c>; empty: nowhere.</summary>
    private static string Setters(CheckedPod pod, Func<JsonNode?, bool> isWrong)
    {
        var whole = isWrong(pod.Security) ? "pod" : "";
        var containers = pod.Named(one => isWrong(one["securityContext"]));
        if (containers.Count == 0) return whole;
        return $"{(whole.Length > 0 ? $"{whole} and " : "")}{Plural("container", containers.Count)} {Quoted(containers)}";
    }

    private static SecurityViolation? Found(string reason, string noun, List<string> names, string what = "") =>
        names.Count == 0 ? null : new(reason, $"{Plural(noun, names.Count)} {Quoted(names)}{what}");

    private static SecurityViolation? NotEmpty(string reason, string detail) => detail.Length == 0 ? null : new(reason, detail);

    private static List<string> NamesOf(IEnumerable<JsonObject> items) => [.. items.Select(item => Json.Text(item["name"]))];

    private static IEnumerable<string> Distinct(IEnumerable<string> texts) => texts.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

    private static string Plural(string noun, int count) => count == 1 ? noun : $"{noun}s";

    private static string Verb(int count) => count == 1 ? "uses" : "use";

    private static string Quoted(IEnumerable<string> texts) => string.Join(", ", texts.Select(text => $"\"{text}\""));
}

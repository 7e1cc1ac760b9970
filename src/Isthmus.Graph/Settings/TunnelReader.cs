using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.Graph.Settings;

/// <summary>Reads what the environment of a control plane says of HBONE. Istio also asks for PILOT_ENABLE_AMBIENT, which means more than sidecars.</summary>
internal static class TunnelReader
{
    private const string Sends = "PILOT_ENABLE_SENDING_HBONE", Prefers = "PILOT_PREFER_SENDING_HBONE";

    /// <param name="flag">The value of a variable; null if it is not set.</param>
    /// <exception cref="ProblemException">Tunnels are preferred where none are opened.</exception>
    public static TunnelSettings Read(Func<string, bool?> flag)
    {
        var settings = new TunnelSettings(flag(Sends) ?? false, flag(Prefers) ?? false, flag("PILOT_ENABLE_SIDECAR_LISTENING_HBONE") ?? true);
        return settings is { Prefers: true, Sends: false }
            ? throw new ProblemException(Prefers, $"is true, but no proxy sends HBONE without {Sends}", $"set {Sends}=true, too, or remove {Prefers}")
            : settings;
    }
}

using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Inventory;

/// <summary>What is known of a Secret that an object of the Gateway API names.</summary>
/// <param name="Credential">What of TLS it holds, without its values; null: nothing, or it does not exist.</param>
public sealed record KnownSecret(TlsCredential? Credential)
{
    /// <summary>Stands for a value.</summary>
    public const string Held = "held";

    /// <summary>Nobody said what it holds: nothing is wrong with it.</summary>
    public static TlsCredential Unread(string ns, string name) => new(new("", "Secret", ns, name), Held, Held, Held);
}

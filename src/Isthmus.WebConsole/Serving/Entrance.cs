using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Isthmus.WebConsole.Serving;

/// <summary>
/// Admits the person who started the console and nobody else. The address that the command prints has a token in its fragment, which
/// browsers do not send. The page exchanges the token, once, for the key that it sends with each call.
/// </summary>
internal sealed class Entrance
{
    private const int KeyBytes = 32;

    private readonly Lock _lock = new();   // guards _token
    private readonly byte[] _key = Encoding.ASCII.GetBytes(NewSecret());
    private byte[]? _token;

    public Entrance()
    {
        Token = NewSecret();
        _token = Encoding.ASCII.GetBytes(Token);
    }

    /// <summary>Opens the page once.</summary>
    public string Token { get; }

    /// <summary>The key for calls; null when the token is wrong, or was used before.</summary>
    public string? Exchange(string token)
    {
        lock (_lock)
        {
            if (_token is null || !CryptographicOperations.FixedTimeEquals(_token, Encoding.UTF8.GetBytes(token))) return null;
            _token = null;
        }
        return Encoding.ASCII.GetString(_key);
    }

    /// <param name="authorization">The header of a call.</param>
    public bool Admits(string authorization) =>
        authorization.StartsWith("Bearer ", StringComparison.Ordinal) && CryptographicOperations.FixedTimeEquals(_key, Encoding.UTF8.GetBytes(authorization["Bearer ".Length..]));

    private static string NewSecret() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(KeyBytes));
}

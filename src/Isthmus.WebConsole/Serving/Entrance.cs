using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Isthmus.WebConsole.Serving;

/// <summary>
/// Admits the person who started the console and nobody else. The address that the command prints has a token in its fragment, which
/// browsers do not send. The page exchanges the token, once, for the key that it sends with each call.
/// </summary>
internal sealed class Entrance : IEntrance
{
    private const int KeyBytes = 32;

    private static readonly Refusal Closed = new(401, "open the address that 'isthmus console' printed"),
        WrongToken = new(403, "the token is not valid, or was used before: start 'isthmus console' again");

    private readonly Lock _lock = new();   // guards _token
    private readonly byte[] _key = Encoding.ASCII.GetBytes(NewSecret());
    private readonly Visit _visit;
    private byte[]? _token;

    public Entrance(EventHub events, IReadOnlyDictionary<string, Answer> answers)
    {
        _visit = new(events, answers, CancellationToken.None);
        Token = NewSecret();
        _token = Encoding.ASCII.GetBytes(Token);
    }

    /// <summary>Opens the page once.</summary>
    public string Token { get; }

    public string? CookieName => null;

    public Task<Entry> EnterAsync(string token, CancellationToken stop)
    {
        lock (_lock)
        {
            if (_token is null || !CryptographicOperations.FixedTimeEquals(_token, Encoding.UTF8.GetBytes(token)))
                return Task.FromResult(new Entry("", Refusal: WrongToken));
            _token = null;
        }
        return Task.FromResult(new Entry(Encoding.ASCII.GetString(_key)));
    }

    public Task<Admission> AdmitAsync(CallerProof proof, CancellationToken stop) =>
        Task.FromResult(CryptographicOperations.FixedTimeEquals(_key, Encoding.UTF8.GetBytes(proof.Key)) ? new Admission(_visit) : new(null, Closed));

    /// <summary>The command ends with Ctrl-C, and everything with it.</summary>
    public void Leave(CallerProof proof)
    {
    }

    /// <summary>A secret that nobody guesses, as text for headers and addresses.</summary>
    internal static string NewSecret() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(KeyBytes));
}

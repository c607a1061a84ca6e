"""What a restore brings back to life or would let out twice, held back: erased people, ended logins, jobs, mails."""
